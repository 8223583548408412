//===- RangesTest.cpp - Ranges beside ONNX Runtime's ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Ranges.h"
#include "../Quantizer/Golden.h"
#include "nibble/Calibration/Collector.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

using namespace nibble;
using namespace nibble::calibration;
using nibble::quantizer::test::Golden;

static const char *const cases[] = {"normal",   "relu",     "laplace",
                                    "outliers", "growing",  "shrinking",
                                    "positive", "negative", "tiny"};

static const Golden &golden() {
  static const Golden instance("ranges.txt");
  return instance;
}

static BinnedCounts readCounts(const std::string &key) {
  std::vector<float> ends = golden().floats(key + ".ends");
  return {ends[0], ends[1], golden().integers<uint64_t>(key + ".counts")};
}

/// The statistics of a tensor that is shown batch by batch.
static TensorStatistics collect(const std::string &name,
                                const RangeOptions &options) {
  CollectorOptions collecting;
  collecting.range = options;
  collecting.threads = 1;
  Collector collector(collecting);
  ObservedValue what;
  what.id = 7;
  what.name = name;
  collector.add(what);
  std::vector<float> values = golden().floats(name);
  int64_t size = golden()[name].shape[1], stride = 1;
  for (size_t first = 0; first < values.size(); first += size) {
    nibble_observation value = {
        7, values.data() + first, NIBBLE_FLOAT, 1, &size, &stride};
    EXPECT_FALSE(collector.observe(value));
  }
  return collector.getStatistics().tensors.front();
}

/// What may differ where bins are others: one bin of ONNX Runtime's.
static float getBin(const TensorStatistics &tensor, bool ofMagnitudes,
                    size_t bins) {
  float absMax = std::max(std::fabs(tensor.min), std::fabs(tensor.max));
  return (ofMagnitudes ? absMax : 2 * absMax) / static_cast<float>(bins);
}

TEST(RangesTest, PercentileOfTheSameCounts) {
  for (const char *name : cases)
    for (bool symmetric : {true, false}) {
      std::string key =
          std::string(name) + ".percentile.99.9." + (symmetric ? "s" : "a");
      Range range = choosePercentile(readCounts(key), 99.9, symmetric);
      std::vector<float> expected = golden().floats(key);
      TensorStatistics tensor = collect(name, RangeOptions());
      float unit = 1e-6f * std::fabs(expected[1] - expected[0]);
      EXPECT_NEAR(std::max(range.low, tensor.min), expected[0], unit) << key;
      EXPECT_NEAR(std::min(range.high, tensor.max), expected[1], unit) << key;
    }
}

TEST(RangesTest, EntropyOfTheSameCounts) {
  int equal = 0;
  for (const char *name : cases)
    for (int bins : {128, 512, 2048}) {
      std::string key = std::string(name) + ".entropy." + std::to_string(bins);
      BinnedCounts counts = readCounts(key);
      Range range = chooseEntropy(counts, 128);
      std::vector<float> expected = golden().floats(key);
      TensorStatistics tensor = collect(name, RangeOptions());
      float unit = 1e-6f * std::fabs(expected[1] - expected[0]);
      equal += std::fabs(std::max(range.low, tensor.min) - expected[0]) < unit;
      equal += std::fabs(std::min(range.high, tensor.max) - expected[1]) < unit;
      // Where another candidate was chosen, it must be as good to floats.
      std::vector<double> divergences = getDivergences(counts, 128);
      double width = (counts.high - counts.low) / bins;
      float largest = std::max(-expected[0], expected[1]);
      auto half = static_cast<int64_t>(std::lround(largest / width));
      double best = *std::min_element(divergences.begin(), divergences.end());
      double theirs = std::numeric_limits<double>::infinity();
      for (int64_t at : {half - 1, half, half + 1})
        if (at >= 64 && at - 64 < static_cast<int64_t>(divergences.size()))
          theirs = std::min(theirs, divergences[at - 64]);
      EXPECT_LE(theirs, best * (1 + 1e-5)) << key;
    }
  // All but the one whose divergences are nearly equal.
  EXPECT_GE(equal, 2 * (9 * 3 - 1));
}

TEST(RangesTest, StreamedPercentileIsWithinOneBin) {
  for (const char *name : cases)
    for (const char *percentile : {"99.9", "99.99", "99.999"})
      for (bool symmetric : {true, false}) {
        RangeOptions options = RangeOptions::get(Method::Percentile);
        EXPECT_TRUE(options.symmetric);
        EXPECT_EQ(options.percentile, 99.999);
        options.percentile = std::stod(percentile);
        options.symmetric = symmetric;
        TensorStatistics tensor = collect(name, options);
        std::string key = std::string(name) + ".percentile." + percentile +
                          (symmetric ? ".s" : ".a");
        std::vector<float> expected = golden().floats(key);
        float bin = getBin(tensor, symmetric, 2048) * 1.001f;
        EXPECT_NEAR(tensor.range.low, expected[0], bin) << key;
        EXPECT_NEAR(tensor.range.high, expected[1], bin) << key;
      }
}

TEST(RangesTest, StreamedEntropyWithTheDefaultsIsExact) {
  RangeOptions options = RangeOptions::get(Method::Entropy);
  EXPECT_EQ(options.bins, 128);
  EXPECT_EQ(options.quantizedBins, 128);
  for (const char *name : cases) {
    TensorStatistics tensor = collect(name, options);
    std::vector<float> expected =
        golden().floats(std::string(name) + ".entropy.128");
    EXPECT_EQ(tensor.range.low, expected[0]) << name;
    EXPECT_EQ(tensor.range.high, expected[1]) << name;
  }
}

TEST(RangesTest, MovingAverage) {
  RangeOptions options = RangeOptions::get(Method::MovingAverage);
  EXPECT_EQ(options.averagingConstant, 0.01);
  for (const char *name : cases) {
    TensorStatistics tensor = collect(name, options);
    std::vector<float> expected =
        golden().floats(std::string(name) + ".average");
    EXPECT_FLOAT_EQ(tensor.range.low, expected[0]) << name;
    EXPECT_FLOAT_EQ(tensor.range.high, expected[1]) << name;
    EXPECT_EQ(tensor.batches, 6u);
  }
}

TEST(RangesTest, MinMaxAndItsSymmetricForm) {
  RangeOptions options;
  TensorStatistics tensor = collect("outliers", options);
  EXPECT_EQ(tensor.range.low, -25);
  EXPECT_EQ(tensor.range.high, 40);
  options.symmetric = true;
  tensor = collect("outliers", options);
  EXPECT_EQ(tensor.range.low, -40);
  EXPECT_EQ(tensor.range.high, 40);
}

/// sum |x - q(x)|^norm with 8-bit codes for [min, max] * factor.
static double getError(const std::vector<float> &values, double factor,
                       double norm) {
  auto [least, largest] = std::minmax_element(values.begin(), values.end());
  double low = *least * factor, high = *largest * factor;
  double scale = (high - low) / 255, zero = std::nearbyint(-low / scale);
  double error = 0;
  for (float x : values) {
    double code = std::nearbyint(x / scale) + zero;
    code = std::min(std::max(code, 0.0), 255.0);
    error += std::pow(std::fabs((code - zero) * scale - x), norm);
  }
  return error;
}

TEST(RangesTest, MSEHasTheLeastError) {
  std::vector<float> values(400000);
  for (size_t i = 0; i != values.size(); ++i)
    values[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  values[7] = 1.2f;
  values[8] = -1.2f;
  Histogram histogram;
  histogram.add(values, 1.2f);
  auto [least, largest] = std::minmax_element(values.begin(), values.end());
  for (double norm : {2.0, 2.4}) {
    Range range = chooseMSE(histogram, *least, *largest, false, norm);
    double factor = range.high / *largest;
    EXPECT_NEAR(range.low / *least, factor, 1e-6);
    EXPECT_LT(factor, 1);
    EXPECT_GE(factor, 0.8);
    double best = getError(values, factor, norm);
    for (int step = 0; step != 20; ++step)
      EXPECT_LE(best, getError(values, 1 - step / 100.0, norm) * 1.02)
          << norm << ": " << step;
  }
}

TEST(RangesTest, LargerNormsCutLess) {
  std::vector<float> values(400000);
  for (size_t i = 0; i != values.size(); ++i)
    values[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  values[7] = 1.2f;
  values[8] = -1.2f;
  Histogram histogram;
  histogram.add(values, 1.2f);
  EXPECT_LT(chooseMSE(histogram, -1.2f, 1.2f, false, 2).high,
            chooseMSE(histogram, -1.2f, 1.2f, false, 8).high);
}

TEST(RangesTest, NormIsChecked) {
  RangeOptions options = RangeOptions::get(Method::MSE);
  EXPECT_EQ(options.norm, 2);
  for (double norm : {0.0, -1.0, 9.0, std::nan("")}) {
    options.norm = norm;
    EXPECT_EQ(llvm::toString(options.validate()),
              "the norm is not from 1 to 8");
  }
}

TEST(RangesTest, ConstantsAndZeros) {
  for (Method method : {Method::MinMax, Method::Percentile, Method::Entropy,
                        Method::MSE, Method::MovingAverage})
    for (float constant : {0.0f, 5.0f, -3.0f}) {
      CollectorOptions options;
      options.range = RangeOptions::get(method);
      Collector collector(options);
      ObservedValue what;
      what.name = "x";
      collector.add(what);
      std::vector<float> values(100, constant);
      int64_t size = 100, stride = 1;
      nibble_observation value = {0, values.data(), NIBBLE_FLOAT,
                                  1, &size,         &stride};
      EXPECT_FALSE(collector.observe(value));
      TensorStatistics tensor = collector.getStatistics().tensors[0];
      EXPECT_LE(tensor.range.low, tensor.range.high)
          << stringifyMethod(method).str();
      EXPECT_LE(tensor.range.high, std::max(constant, 0.0f));
      EXPECT_GE(tensor.range.low, std::min(constant, 0.0f));
    }
}

TEST(RangesTest, BinsOfWhatIsNoNumberExist) {
  double infinity = std::numeric_limits<double>::infinity();
  for (double low : {-infinity, infinity, std::nan(""), -1e308}) {
    Histogram histogram{low, std::ldexp(1.0, 1020), {1, 2, 3}};
    EXPECT_LE(foldAbsolute(histogram).counts.size(), size_t(1) << 16);
    BinnedCounts counts = rebin(histogram, -1, 1, 16);
    EXPECT_EQ(std::accumulate(counts.counts.begin(), counts.counts.end(),
                              uint64_t(0)),
              6u);
  }
}
