//===- ActivationsTest.cpp - Activations in 8 bits ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Activations.h"
#include "nibble/Quantizer/Packing.h"
#include <cfloat>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace nibble::quantizer;

namespace {

TEST(Activations, ARowFillsTheCodes) {
  // 510 in 255 steps of 2; zero is at step 5.
  std::vector<float> row = {500, -10, 1, 3, -1, -3, 0, 254};
  std::vector<uint8_t> codes(row.size());
  ActivationRange range = quantizeActivations(row, codes);
  EXPECT_EQ(range.scale, 2.0f);
  EXPECT_EQ(range.zero, 5);
  // Half to even before the zero point: 0.5 and 1.5 steps are 0 and 2.
  EXPECT_EQ(codes, (std::vector<uint8_t>{255, 0, 5, 7, 5, 3, 5, 132}));
}

TEST(Activations, ZeroIsACodeOfEveryRow) {
  std::vector<float> row = {255, 510};
  std::vector<uint8_t> codes(row.size());
  EXPECT_EQ(quantizeActivations(row, codes).zero, 0);
  EXPECT_EQ(codes, (std::vector<uint8_t>{128, 255}));
  row = {-255, -510};
  EXPECT_EQ(quantizeActivations(row, codes).zero, 255);
  EXPECT_EQ(codes, (std::vector<uint8_t>{127, 0}));
}

TEST(Activations, TheWidestRowsHaveAScale) {
  std::vector<float> row = {FLT_MAX, -FLT_MAX};
  std::vector<uint8_t> codes(row.size());
  EXPECT_LT(quantizeActivations(row, codes).scale, FLT_MAX);
  EXPECT_EQ(codes, (std::vector<uint8_t>{255, 0}));
}

TEST(Activations, ErrorsAreHalfAStepAtMost) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> row(1000);
  for (float &x : row)
    x = normal(random);
  std::vector<uint8_t> codes(row.size());
  auto [scale, zero] = quantizeActivations(row, codes);
  // Half a step of its own, and at the ends half a step of the zero point.
  for (size_t i = 0; i < row.size(); ++i)
    EXPECT_LE(std::abs(row[i] - scale * (codes[i] - zero)), 1.0001f * scale);
}

TEST(Activations, RowsWithoutAScale) {
  std::vector<float> row = {0, -0.0f, NAN};
  std::vector<uint8_t> codes(row.size(), 1);
  ActivationRange range = quantizeActivations(row, codes);
  EXPECT_EQ(range.scale, smallestActivationScale);
  EXPECT_EQ(range.zero, 0);
  EXPECT_EQ(codes, (std::vector<uint8_t>{0, 0, 0}));
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
