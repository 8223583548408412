//===- HistogramTest.cpp - Counts that grow with the values ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Statistics.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>
#include <random>

using namespace nibble::calibration;

static void add(Histogram &histogram, llvm::ArrayRef<float> values) {
  float absMax = 0;
  for (float value : values)
    absMax = std::max(absMax, std::fabs(value));
  histogram.add(values, absMax);
}

static void expectEqual(const Histogram &a, const Histogram &b) {
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.counts, b.counts);
}

static std::vector<float> makeValues(size_t count, float scale, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(random);
  return values;
}

TEST(HistogramTest, WidthFollowsFromTheLargestMagnitude) {
  Histogram histogram;
  add(histogram, {0.5f, -1.0f, 0.25f});
  EXPECT_EQ(histogram.width, 1.0 / 4096);
  EXPECT_EQ(histogram.low, -1.0);
  EXPECT_EQ(histogram.counts.front(), 1u);
  add(histogram, {1.5f});
  EXPECT_EQ(histogram.width, 2.0 / 4096);
  EXPECT_EQ(histogram.getTotal(), 4u);
}

TEST(HistogramTest, OrderAndPartsDoNotMatter) {
  std::vector<float> values = makeValues(3000, 1, 1);
  for (float large : makeValues(100, 300, 2))
    values.push_back(large);
  values.push_back(0);
  Histogram whole, backwards, left, right;
  add(whole, values);
  for (size_t i = values.size(); i-- > 0;)
    add(backwards, llvm::ArrayRef(values).slice(i, 1));
  expectEqual(whole, backwards);
  add(left, llvm::ArrayRef(values).take_front(700));
  add(right, llvm::ArrayRef(values).drop_front(700));
  Histogram merged = right;
  merged.merge(left);
  left.merge(right);
  expectEqual(whole, left);
  expectEqual(whole, merged);
}

TEST(HistogramTest, ZerosFirst) {
  Histogram histogram, other;
  add(histogram, {0, 0, -0.0f});
  EXPECT_EQ(histogram.width, 0);
  add(histogram, {-3, 2});
  add(other, {-3, 2});
  Histogram zeros;
  add(zeros, {0, 0, 0});
  other.merge(zeros);
  expectEqual(histogram, other);
  EXPECT_EQ(histogram.getTotal(), 5u);
}

TEST(HistogramTest, ExtremeMagnitudes) {
  Histogram histogram;
  add(histogram, {1e-45f, -1e-45f});
  EXPECT_EQ(histogram.getTotal(), 2u);
  add(histogram, {3.4e38f});
  EXPECT_EQ(histogram.getTotal(), 3u);
  EXPECT_FALSE(histogram.validate());
  EXPECT_EQ(histogram.low, -histogram.width);
}

TEST(HistogramTest, RefusesWhatIsNoHistogram) {
  Histogram histogram;
  histogram.width = 0.3;
  histogram.counts = {1};
  llvm::Error error = histogram.validate();
  ASSERT_TRUE(static_cast<bool>(error));
  EXPECT_NE(llvm::toString(std::move(error)).find("no power of two"),
            std::string::npos);
}

TEST(HistogramTest, RefusesWhatFloatsCannotGive) {
  auto refuses = [](double low, double width, size_t bins) {
    Histogram histogram{low, width, std::vector<uint64_t>(bins, 1)};
    return llvm::errorToBool(histogram.validate());
  };
  double infinity = std::numeric_limits<double>::infinity();
  double largest = std::ldexp(1.0, 116), least = std::ldexp(1.0, -161);
  EXPECT_FALSE(refuses(-4096 * largest, largest, 8193));
  EXPECT_FALSE(refuses(-4096 * least, least, 8193));
  EXPECT_TRUE(refuses(0, 2 * largest, 1));
  EXPECT_TRUE(refuses(0, least / 2, 1));
  // Sums of such widths are infinite, and their bins anywhere.
  EXPECT_TRUE(refuses(-std::ldexp(1.0, 1023), std::ldexp(1.0, 1011), 3));
  EXPECT_TRUE(refuses(-infinity, std::ldexp(1.0, 1020), 3));
  EXPECT_TRUE(refuses(0, infinity, 1));
  EXPECT_TRUE(refuses(std::nan(""), 1, 1));
  EXPECT_TRUE(refuses(-5000, 1, 1));
  EXPECT_TRUE(refuses(0, 1, 4098));
}
