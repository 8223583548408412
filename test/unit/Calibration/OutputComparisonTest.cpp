//===- OutputComparisonTest.cpp - One model's values beside another's -----===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/OutputComparison.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>

using namespace nibble;
using namespace nibble::calibration;

namespace {

void run(OutputComparison &comparison, size_t tensor,
         std::vector<float> reference, std::vector<float> values) {
  comparison.addReference(tensor, reference);
  comparison.add(tensor, values);
}

TEST(OutputComparisonTest, FiguresOfSamples) {
  OutputComparison comparison(2);
  run(comparison, 0, {3, 4}, {3, 3});
  ASSERT_FALSE(bool(comparison.endSample()));
  run(comparison, 0, {0, 10, 0}, {0, 9, 1});
  ASSERT_FALSE(bool(comparison.endSample()));
  std::optional<MeasuredOutput> found = comparison.getMeasured(0);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->samples, 2);
  double first = 10 * std::log10(25.0 / 1), second = 10 * std::log10(100.0 / 2);
  EXPECT_NEAR(found->sqnr.mean, (first + second) / 2, 1e-12);
  EXPECT_NEAR(found->sqnr.deviation, (second - first) / std::sqrt(2), 1e-12);
  EXPECT_NEAR(found->sqnr.least, first, 1e-12);
  EXPECT_NEAR(found->cosine.least, 21 / (5 * std::sqrt(18)), 1e-12);
  // Nobody showed the second one.
  EXPECT_FALSE(comparison.getMeasured(1));
}

TEST(OutputComparisonTest, PiecesOfALoopAreOneTensor) {
  OutputComparison comparison(1);
  comparison.addReference(0, {3});
  comparison.addReference(0, {4});
  comparison.add(0, {3, 3});
  ASSERT_FALSE(bool(comparison.endSample()));
  EXPECT_NEAR(comparison.getMeasured(0)->sqnr.mean, 10 * std::log10(25), 1e-12);
}

TEST(OutputComparisonTest, ExtremesHaveFigures) {
  OutputComparison comparison(4);
  float nan = std::numeric_limits<float>::quiet_NaN();
  run(comparison, 0, {1, 2}, {1, 2});
  run(comparison, 1, {0, 0}, {1, 0});
  run(comparison, 2, {1, 1}, {nan, 1});
  run(comparison, 3, {0, 0}, {0, 0});
  ASSERT_FALSE(bool(comparison.endSample()));
  double sqnr[] = {160, -160, -160, 160}, cosine[] = {1, 0, 0, 1};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(comparison.getMeasured(i)->sqnr.mean, sqnr[i]) << i;
    EXPECT_NEAR(comparison.getMeasured(i)->cosine.mean, cosine[i], 1e-15) << i;
  }
}

TEST(OutputComparisonTest, NumbersOfValuesMustBeEqual) {
  OutputComparison more(1), fewer(1);
  run(more, 0, {1}, {1, 2});
  EXPECT_EQ(llvm::toString(more.endSample()),
            "tensor 0: the float model has 1 values, the quantized one 2");
  run(fewer, 0, {1, 2, 3}, {1});
  EXPECT_EQ(llvm::toString(fewer.endSample()),
            "tensor 0: the float model has 3 values, the quantized one 1");
}

} // namespace
