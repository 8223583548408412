//===- ActivationsTest.cpp - Activations in 8 bits ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Activations.h"
#include "nibble/Quantizer/Packing.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace nibble::quantizer;

namespace {

TEST(Activations, TheLargestMagnitudeIsHalfAStepBeyondTheCodes) {
  // Scale 2: 255 is 127.5 steps, which 127 is as near to as can be.
  std::vector<float> row = {255, -255, 1, 3, -1, -3, 0, 254};
  std::vector<int8_t> codes(row.size());
  EXPECT_EQ(quantizeActivations(row, codes), 2.0f);
  // Half to even: 0.5 and 1.5 steps are 0 and 2.
  EXPECT_EQ(codes, (std::vector<int8_t>{127, -128, 0, 2, 0, -2, 0, 127}));
}

TEST(Activations, ErrorsAreHalfAStepAtMost) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> row(1000);
  for (float &x : row)
    x = normal(random);
  std::vector<int8_t> codes(row.size());
  float scale = quantizeActivations(row, codes);
  for (size_t i = 0; i < row.size(); ++i)
    EXPECT_LE(std::abs(row[i] - scale * codes[i]), 0.5001f * scale);
}

TEST(Activations, RowsWithoutAScale) {
  std::vector<float> row = {0, -0.0f, NAN};
  std::vector<int8_t> codes(row.size(), 1);
  EXPECT_EQ(quantizeActivations(row, codes), smallestActivationScale);
  EXPECT_EQ(codes, (std::vector<int8_t>{0, 0, -128}));
}

TEST(IntegerPacking, QuadsOfChannelsForEachTap) {
  // Two groups of three rows, five channels, two taps.
  constexpr int64_t groups = 2, rows = 3, channels = 5, taps = 2, quads = 4;
  std::vector<char> codes;
  for (int64_t i = 0; i < groups * rows * channels * taps; ++i)
    codes.push_back(char(7 * i + 100));
  for (bool isUnsigned : {false, true}) {
    IntegerWeightView view{codes.data(), isUnsigned, groups,          rows,
                           channels,     taps,       channels * taps, taps};
    std::vector<uint8_t> out(groups * quads * 32 * 4, 0xee);
    packIntegerPanels(view, quads, out);
    int64_t used = 0;
    for (int64_t group = 0; group < groups; ++group)
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t c = 0; c < channels; ++c)
          for (int64_t tap = 0; tap < taps; ++tap) {
            uint8_t code =
                codes[((group * rows + row) * channels + c) * taps + tap];
            size_t quad = group * quads + c / 4 * taps + tap;
            uint8_t &packed = out[(quad * 32 + row) * 4 + c % 4];
            EXPECT_EQ(packed, isUnsigned ? code ^ 0x80 : code);
            packed = 0;
            ++used;
          }
    EXPECT_EQ(used, int64_t(codes.size()));
    EXPECT_EQ(out, std::vector<uint8_t>(out.size(), 0));
  }
}

TEST(IntegerPacking, SumsWithoutZeroPoints) {
  // [K, N] = [[-128, 255], [127, 0], [3, 4]].
  std::vector<char> codes = {char(-128), char(255), 127, 0, 3, 4};
  IntegerWeightView view{codes.data(), false, 1, 2, 3, 1, 1, 2};
  std::vector<int32_t> sums(2);
  sumIntegerRows(view, {}, sums);
  EXPECT_EQ(sums, (std::vector<int32_t>{2, 3}));
  view.isUnsigned = true;
  uint8_t one[] = {200}, each[] = {200, 1};
  sumIntegerRows(view, one, sums);
  EXPECT_EQ(sums, (std::vector<int32_t>{258 - 600, 259 - 600}));
  sumIntegerRows(view, each, sums);
  EXPECT_EQ(sums, (std::vector<int32_t>{258 - 600, 259 - 3}));
}

} // namespace
