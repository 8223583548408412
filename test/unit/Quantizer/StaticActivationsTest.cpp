//===- StaticActivationsTest.cpp - Activations with scales from data ------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/StaticActivations.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace nibble::quantizer;

namespace {

TEST(StaticActivations, GridsReachFromEndToEnd) {
  ActivationGrid grid = chooseGrid({-1, 4.1}, {true, false});
  EXPECT_FLOAT_EQ(grid.scale, 0.02f);
  EXPECT_EQ(grid.zero, 50);
  grid = chooseGrid({-1, 4.1}, {false, false});
  EXPECT_FLOAT_EQ(grid.scale, 0.02f);
  EXPECT_EQ(grid.zero, -78);
  grid = chooseGrid({-1, 2.54}, {false, true});
  EXPECT_FLOAT_EQ(grid.scale, 0.02f);
  EXPECT_EQ(grid.zero, 0);
  grid = chooseGrid({-1, 2.55}, {true, true});
  EXPECT_FLOAT_EQ(grid.scale, 0.02f);
  EXPECT_EQ(grid.zero, 128);
}

TEST(StaticActivations, ZeroIsInEveryRange) {
  ActivationGrid grid = chooseGrid({1, 2.55}, {true, false});
  EXPECT_FLOAT_EQ(grid.scale, 0.01f);
  EXPECT_EQ(grid.zero, 0);
  grid = chooseGrid({-2.55, -1}, {true, false});
  EXPECT_FLOAT_EQ(grid.scale, 0.01f);
  EXPECT_EQ(grid.zero, 255);
}

TEST(StaticActivations, RangesOfZerosHaveAGrid) {
  for (bool isUnsigned : {false, true})
    for (bool symmetric : {false, true}) {
      ActivationGrid grid = chooseGrid({0, 0}, {isUnsigned, symmetric});
      EXPECT_EQ(grid.scale, 1.0f);
      EXPECT_GE(grid.zero, isUnsigned ? 0 : -128);
    }
}

TEST(StaticActivations, WeightsHaveAScaleForEachRow) {
  std::vector<float> w = {1.27f, -0.635f, 0, 2.54f};
  auto result = quantizeInt8(
      WeightView::rowMajor(reinterpret_cast<const char *>(w.data()), 2, 2),
      ScaleRule::AbsMax);
  ASSERT_TRUE(bool(result));
  EXPECT_EQ(result->codes, (std::vector<int8_t>{127, -64, 0, 127}));
  EXPECT_FLOAT_EQ(result->scales[0], 0.01f);
  EXPECT_FLOAT_EQ(result->scales[1], 0.02f);
}

TEST(StaticActivations, ABiasThatIsTooLargeWidensTheScale) {
  std::vector<float> w = {1e-6f, -1e-6f}, bias = {1000, 0};
  std::vector<float> least = getMinimumScales(2, bias, 0.01f);
  auto result = quantizeInt8(
      WeightView::rowMajor(reinterpret_cast<const char *>(w.data()), 2, 1),
      ScaleRule::AbsMax, least);
  ASSERT_TRUE(bool(result));
  std::vector<int32_t> steps = quantizeBias(bias, 0.01f, result->scales);
  EXPECT_LE(std::abs(steps[0]), (1 << 30) + 64);
  EXPECT_NEAR(steps[0] * 0.01 * result->scales[0], 1000, 1e-3);
  EXPECT_EQ(result->codes[1], -127);
}

/// Products of small scales would be zero in float32, and 0 / 0 no step.
TEST(StaticActivations, NoScaleThatIsStoredIsZero) {
  std::vector<float> w = {1e-30f, -1e-30f, 0}, bias = {0, 1e-20f, 0};
  constexpr float inputScale = 1e-25f, factor = 1e-3f;
  auto result = quantizeInt8(
      WeightView::rowMajor(reinterpret_cast<const char *>(w.data()), 3, 1),
      ScaleRule::AbsMax, getMinimumScales(3, bias, inputScale, factor));
  ASSERT_TRUE(bool(result));
  for (float scale : result->scales) {
    EXPECT_TRUE(std::isnormal(scale * factor));
    EXPECT_TRUE(
        std::isnormal(static_cast<float>(double(inputScale) * factor * scale)));
  }
  std::vector<int32_t> steps =
      quantizeBias(bias, double(inputScale) * factor, result->scales);
  EXPECT_EQ(steps[0], 0);
  EXPECT_NEAR(double(inputScale) * factor * result->scales[1] * steps[1], 1e-20,
              1e-27);
  EXPECT_EQ(steps[2], 0);
}

TEST(StaticActivations, RefusesWhatIsNotFinite) {
  std::vector<float> w = {1, NAN};
  auto result = quantizeInt8(
      WeightView::rowMajor(reinterpret_cast<const char *>(w.data()), 1, 2),
      ScaleRule::AbsMax);
  ASSERT_FALSE(bool(result));
  llvm::consumeError(result.takeError());
}

/// The mean output of float and rounded weights over random inputs, computed
/// without the means.
TEST(StaticActivations, TheShiftIsTheMeanErrorOfTheOutput) {
  // Two groups of three rows, two channels, a window of 4.
  constexpr int64_t groups = 2, rows = 6, channels = 2, window = 4;
  constexpr int64_t cols = channels * window, samples = 64;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> w(rows * cols);
  for (float &value : w)
    value = normal(random);
  WeightView view = WeightView::rowMajor(
      reinterpret_cast<const char *>(w.data()), rows, cols);
  auto quantized = quantizeInt8(view, ScaleRule::AbsMax);
  ASSERT_TRUE(bool(quantized));
  // Each channel has one value for the whole window in each sample.
  std::vector<float> mean(groups * channels);
  std::vector<double> error(rows);
  for (int64_t s = 0; s < samples; ++s)
    for (int64_t c = 0; c < groups * channels; ++c) {
      float x = c + normal(random);
      mean[c] += x / samples;
      int64_t group = c / channels;
      for (int64_t row = group * 3; row < group * 3 + 3; ++row)
        for (int64_t k = 0; k < window; ++k) {
          int64_t at = row * cols + c % channels * window + k;
          error[row] +=
              (double(quantized->scales[row]) * quantized->codes[at] - w[at]) *
              x / samples;
        }
    }
  std::vector<double> shift =
      getMeanShift(view, *quantized, {window, groups}, mean);
  ASSERT_EQ(shift.size(), error.size());
  for (int64_t row = 0; row < rows; ++row)
    EXPECT_NEAR(shift[row], error[row], 1e-5);
  // A factor of the product is in the scales alone.
  for (float &scale : quantized->scales)
    scale *= 4;
  shift = getMeanShift(view, *quantized, {window, groups}, mean, 4);
  for (int64_t row = 0; row < rows; ++row)
    EXPECT_NEAR(shift[row], 4 * error[row], 4e-5);
  mean.pop_back();
  EXPECT_TRUE(getMeanShift(view, *quantized, {window, groups}, mean).empty());
}

/// The predicted ratio is that of independent inputs and roundings.
TEST(StaticActivations, PredictsTheNoiseOfARoundedInput) {
  constexpr int64_t rows = 3, cols = 8, samples = 20000;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> w(rows * cols), meanSquare(cols), size(cols);
  for (float &value : w)
    value = normal(random);
  for (int64_t c = 0; c < cols; ++c)
    size[c] = 1 + c % 3;
  constexpr float scale = 0.25f;
  double signal = 0, noise = 0;
  for (int64_t s = 0; s < samples; ++s) {
    std::vector<float> x(cols);
    for (int64_t c = 0; c < cols; ++c) {
      x[c] = size[c] * normal(random);
      meanSquare[c] += x[c] * x[c] / samples;
    }
    for (int64_t r = 0; r < rows; ++r) {
      double exact = 0, rounded = 0;
      for (int64_t c = 0; c < cols; ++c) {
        exact += double(w[r * cols + c]) * x[c];
        rounded +=
            double(w[r * cols + c]) * scale * std::nearbyint(x[c] / scale);
      }
      signal += exact * exact;
      noise += (exact - rounded) * (exact - rounded);
    }
  }
  WeightView view = WeightView::rowMajor(
      reinterpret_cast<const char *>(w.data()), rows, cols);
  std::optional<double> predicted = predictSQNR(view, {}, meanSquare, scale);
  ASSERT_TRUE(predicted);
  EXPECT_NEAR(*predicted, 10 * std::log10(signal / noise), 0.2);
  meanSquare.pop_back();
  EXPECT_FALSE(predictSQNR(view, {}, meanSquare, scale));
}

} // namespace
