//===- HistogramTest.cpp - How weights and their errors are spread --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Histogram.h"
#include "RandomWeights.h"
#include <numeric>

using namespace nibble::quantizer;
using namespace nibble::quantizer::test;

namespace {

using Counts = std::vector<int64_t>;

class HistogramTest : public RandomTest {};

TEST_F(HistogramTest, BinsAreHalfOpen) {
  std::vector<float> before = {-4, -2, -1, 0, 1, 2, 3, 4};
  std::vector<float> after = {-4, -2, -2, 0, 0, 2, 4, 5};
  WeightHistograms found =
      computeHistograms(WeightView::rowMajor(getBytes(before), 2, 4), after, 4);
  EXPECT_EQ(found.before.limit, 4);
  EXPECT_EQ(found.before.counts, Counts({1, 2, 2, 3}));
  // What lies beyond the weights' range is counted at its end.
  EXPECT_EQ(found.after.limit, 4);
  EXPECT_EQ(found.after.counts, Counts({1, 2, 2, 3}));
  // Errors 0 0 -1 0 -1 0 1 1.
  EXPECT_EQ(found.errors.limit, 1);
  EXPECT_EQ(found.errors.counts, Counts({2, 0, 4, 2}));
}

TEST_F(HistogramTest, CountsEveryWeightOnAnyNumberOfThreads) {
  int64_t rows = 53, cols = 31;
  std::vector<float> before = makeNormal(rows * cols), after(before);
  for (float &value : after)
    value = std::round(value);
  WeightView weight = WeightView::rowMajor(getBytes(before), rows, cols);
  WeightHistograms one = computeHistograms(weight, after, reportBins, 1);
  WeightHistograms many = computeHistograms(weight, after, reportBins, 4);
  for (auto part : {&WeightHistograms::before, &WeightHistograms::after,
                    &WeightHistograms::errors}) {
    EXPECT_EQ((one.*part).counts, (many.*part).counts);
    const Counts &counts = (one.*part).counts;
    EXPECT_EQ(counts.size(), reportBins);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t(0)),
              rows * cols);
  }
  EXPECT_LE(one.errors.limit, 0.5);
}

TEST_F(HistogramTest, ZerosHaveNoRange) {
  std::vector<float> zeros(12, 0.0f);
  WeightHistograms found =
      computeHistograms(WeightView::rowMajor(getBytes(zeros), 3, 4), zeros, 4);
  EXPECT_EQ(found.before.limit, 0);
  EXPECT_EQ(found.errors.counts, Counts({0, 0, 12, 0}));
}

} // namespace
