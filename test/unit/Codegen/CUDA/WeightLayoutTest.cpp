//===- WeightLayoutTest.cpp - The order of weights for CUDA kernels
//---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CUDA/WeightLayout.h"
#include "gtest/gtest.h"
#include <random>

using namespace nibble::codegen::cuda;

static WeightLayout makeLayout(int64_t n, int64_t k, unsigned bits,
                               Fragment fragment) {
  WeightLayout layout;
  layout.n = n;
  layout.k = k;
  layout.bits = bits;
  layout.fragment = fragment;
  return layout;
}

TEST(WeightLayout, UnpackIsTheInverseOfPack) {
  std::mt19937 random(1);
  for (Fragment fragment : {Fragment::Half, Fragment::Byte})
    for (unsigned bits : {2u, 3u, 4u, 8u})
      for (auto [n, k] : {std::pair<int64_t, int64_t>{1, 1},
                          {33, 65},
                          {64, 128},
                          {100, 200}}) {
        WeightLayout layout = makeLayout(n, k, bits, fragment);
        std::vector<uint8_t> codes(n * k), packed(layout.codeBytes()),
            back(n * k, 255);
        for (uint8_t &code : codes)
          code = uint8_t(random() & ((1u << bits) - 1));
        layout.pack(codes, uint8_t(1u << (bits - 1)), packed);
        layout.unpack(packed, back);
        EXPECT_EQ(codes, back) << bits << " bits, " << n << "x" << k;
      }
}

TEST(WeightLayout, EveryBitHasOneCode) {
  for (Fragment fragment : {Fragment::Half, Fragment::Byte})
    for (unsigned bits : {2u, 3u, 4u, 8u}) {
      WeightLayout layout = makeLayout(64, 128, bits, fragment);
      std::vector<int> used(layout.codeBytes() * 8);
      for (int64_t n = 0; n < layout.n; ++n)
        for (int64_t k = 0; k < layout.k; ++k) {
          auto low = layout.getLowPosition(n, k);
          // A code never crosses a byte.
          ASSERT_LE(low.bit + layout.lowBits(), 8u);
          for (unsigned i = 0; i < layout.lowBits(); ++i)
            ++used[low.byte * 8 + low.bit + i];
          if (bits == 3) {
            auto high = layout.getHighPosition(n, k);
            ++used[high.byte * 8 + high.bit];
          }
        }
      for (int count : used)
        ASSERT_EQ(count, 1);
    }
}

TEST(WeightLayout, ALaneHoldsItsPartOfTheFragments) {
  // The manual's maps of operand B: of m16n8k16, registers 0 and 1 hold rows
  // 2t, 2t+1 and 2t+8, 2t+9 of column g; of m16n8k32, rows 4t to 4t+3 and
  // 4t+16 to 4t+19.
  for (unsigned bits : {2u, 4u, 8u}) {
    for (Fragment fragment : {Fragment::Half, Fragment::Byte}) {
      WeightLayout layout = makeLayout(32, 64, bits, fragment);
      for (int64_t lane = 0; lane < 32; ++lane)
        for (int64_t j = 0; j < 4; ++j)
          for (int64_t kk = 0; kk < 4; ++kk)
            for (int64_t r = 0; r < 4; ++r) {
              int64_t g = lane / 4, t = lane % 4;
              int64_t k = fragment == Fragment::Half
                              ? 16 * kk + 2 * t + r % 2 + 8 * (r / 2)
                              : 32 * (kk / 2) + 16 * (kk % 2) + 4 * t + r;
              auto slot = layout.getSlot(j, kk, r, bits);
              auto position = layout.getLowPosition(4 * g + j, k);
              int64_t byte =
                  WeightLayout::getWordOffset(lane, slot.word, bits) +
                  slot.bit / 8;
              ASSERT_EQ(position.byte, byte);
              ASSERT_EQ(position.bit, slot.bit % 8);
            }
    }
  }
}

TEST(WeightLayout, LoadsOfAWarpAreContiguous) {
  for (unsigned planeBits : {1u, 2u, 4u, 8u}) {
    int64_t words = WeightLayout::wordsPerLane(planeBits);
    int64_t perLoad = std::min<int64_t>(4, words);
    for (int64_t word = 0; word < words; word += perLoad)
      for (int64_t lane = 0; lane < 32; ++lane)
        EXPECT_EQ(WeightLayout::getWordOffset(lane, word, planeBits),
                  word * 32 * 4 + lane * perLoad * 4);
  }
}

TEST(WeightLayout, GroupsArePanels) {
  WeightLayout layout = makeLayout(40, 256, 4, Fragment::Half);
  int64_t groups = 3, size = 2;
  std::vector<uint8_t> values(layout.n * groups * size),
      packed(layout.groupBytes(groups, size)), back(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = uint8_t(i * 7 + 1);
  layout.packGroups(values, groups, size, packed);
  // Channel 35 is number 3 of panel 1.
  EXPECT_EQ(packed[((1 * groups + 2) * 32 + 3) * size],
            values[(35 * groups + 2) * size]);
  EXPECT_EQ(packed[((1 * groups + 2) * 32 + 8) * size], 0);
  layout.unpackGroups(packed, groups, size, back);
  EXPECT_EQ(values, back);
}
