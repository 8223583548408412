//===- EqualizationTest.cpp - Channels of equal range ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Equalization.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace nibble::quantizer;

namespace {

TEST(Equalization, RangesOfBothSidesBecomeTheirGeometricMean) {
  // Rows of 4 and 1, columns of 1 and 9: sqrt(4) and sqrt(9).
  ChainWeight first{2, 2, 1, {4, 2, 1, 0.5f}};
  ChainWeight second{2, 2, 1, {1, 3, 0.5f, 9}};
  auto factors = equalizeChain({first, second});
  ASSERT_EQ(factors.size(), 1u);
  EXPECT_FLOAT_EQ(factors[0][0], 2.0f);
  EXPECT_FLOAT_EQ(factors[0][1], 1.0f / 3);
}

TEST(Equalization, DepthwiseChannelsAreTheirOwn) {
  // A depthwise layer between two others: one column for each row.
  ChainWeight first{2, 1, 1, {8, 2}}, depthwise{2, 2, 2, {2, 1}},
      last{1, 2, 1, {1, 4}};
  auto factors = equalizeChain({first, depthwise, last}, 1e-7, 1000);
  ASSERT_EQ(factors.size(), 2u);
  for (int c = 0; c < 2; ++c) {
    float a = first.magnitudes[c] / factors[0][c];
    float b = depthwise.magnitudes[c] * factors[0][c] / factors[1][c];
    float d = last.magnitudes[c] * factors[1][c];
    // All three are the cube root of what they were together.
    float together = std::cbrt(first.magnitudes[c] * depthwise.magnitudes[c] *
                               last.magnitudes[c]);
    EXPECT_NEAR(a, together, 1e-4f);
    EXPECT_NEAR(b, together, 1e-4f);
    EXPECT_NEAR(d, together, 1e-4f);
  }
}

TEST(Equalization, DeadChannelsKeepTheFactorOne) {
  ChainWeight first{2, 1, 1, {0, 2}}, second{1, 2, 1, {5, 0}};
  auto factors = equalizeChain({first, second});
  EXPECT_EQ(factors[0], (std::vector<float>{1, 1}));
}

} // namespace
