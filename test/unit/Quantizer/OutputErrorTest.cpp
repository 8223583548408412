//===- OutputErrorTest.cpp - What a weight's error does to outputs --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/OutputError.h"
#include "RandomWeights.h"

using namespace nibble::quantizer;
using namespace nibble::quantizer::test;

namespace {

/// A weight, what became of it, and inputs whose columns are correlated.
struct Layer {
  int64_t rows, cols, samples;
  std::vector<float> before, after, inputs;
};

class OutputErrorTest : public RandomTest {
protected:
  Layer makeLayer(int64_t rows, int64_t cols, int64_t samples) {
    Layer layer{rows, cols, samples, makeNormal(rows * cols), {}, {}};
    layer.after = layer.before;
    std::vector<float> errors = makeNormal(rows * cols);
    for (size_t i = 0; i < errors.size(); ++i)
      layer.after[i] += 0.05f * errors[i];
    layer.inputs = makeNormal(samples * cols);
    for (int64_t s = 0; s < samples; ++s)
      for (int64_t k = 1; k < cols; ++k)
        layer.inputs[s * cols + k] += 0.8f * layer.inputs[s * cols + k - 1];
    return layer;
  }
  /// Sum over samples of x x'.
  static std::vector<float> makeHessian(const Layer &layer) {
    std::vector<float> hessian(layer.cols * layer.cols);
    for (int64_t i = 0; i < layer.cols; ++i)
      for (int64_t j = 0; j < layer.cols; ++j) {
        double sum = 0;
        for (int64_t s = 0; s < layer.samples; ++s)
          sum += double(layer.inputs[s * layer.cols + i]) *
                 layer.inputs[s * layer.cols + j];
        hessian[i * layer.cols + j] = sum;
      }
    return hessian;
  }
  /// The outputs themselves, one after another.
  static OutputError runLayer(const Layer &layer) {
    OutputError sum;
    for (int64_t s = 0; s < layer.samples; ++s)
      for (int64_t n = 0; n < layer.rows; ++n) {
        double y = 0, error = 0;
        for (int64_t k = 0; k < layer.cols; ++k) {
          double x = layer.inputs[s * layer.cols + k];
          double before = layer.before[n * layer.cols + k];
          y += before * x;
          error += (before - layer.after[n * layer.cols + k]) * x;
        }
        sum += {y * y, error * error};
      }
    return sum;
  }
};

TEST_F(OutputErrorTest, HessianGivesTheErrorOfAllOutputs) {
  // Several tiles of rows and blocks of columns, none full.
  Layer layer = makeLayer(45, 300, 64);
  std::vector<float> hessian = makeHessian(layer);
  WeightView weight = WeightView::rowMajor(getBytes(layer.before), 45, 300);
  OutputError want = runLayer(layer);
  OutputError one = computeOutputError(weight, layer.after, hessian, 1);
  EXPECT_NEAR(one.signal / want.signal, 1, 1e-6);
  EXPECT_NEAR(one.noise / want.noise, 1, 1e-6);
  EXPECT_NEAR(one.getRelative(), want.noise / want.signal,
              1e-6 * want.getRelative());
  OutputError many = computeOutputError(weight, layer.after, hessian, 5);
  EXPECT_EQ(one.signal, many.signal);
  EXPECT_EQ(one.noise, many.noise);
}

TEST_F(OutputErrorTest, WeightsMayBeTransposed) {
  Layer layer = makeLayer(20, 33, 16);
  std::vector<float> hessian = makeHessian(layer), turned(20 * 33);
  for (int64_t n = 0; n < 20; ++n)
    for (int64_t k = 0; k < 33; ++k)
      turned[k * 20 + n] = layer.before[n * 33 + k];
  OutputError error = computeOutputError(
      WeightView::transposed(getBytes(turned), 20, 33), layer.after, hessian);
  EXPECT_NEAR(error.getRelative() / runLayer(layer).getRelative(), 1, 1e-6);
}

TEST_F(OutputErrorTest, MeanSquaresGiveAnEstimate) {
  Layer layer = makeLayer(18, 40, 32);
  std::vector<float> means(40);
  double signal = 0, noise = 0;
  for (int64_t k = 0; k < 40; ++k) {
    double sum = 0;
    for (int64_t s = 0; s < 32; ++s)
      sum += std::pow(double(layer.inputs[s * 40 + k]), 2) / 32;
    means[k] = sum;
    for (int64_t n = 0; n < 18; ++n) {
      double before = layer.before[n * 40 + k];
      signal += means[k] * before * before;
      noise += means[k] * std::pow(before - layer.after[n * 40 + k], 2);
    }
  }
  OutputError error = estimateOutputError(
      WeightView::rowMajor(getBytes(layer.before), 18, 40), layer.after, means);
  EXPECT_NEAR(error.signal / signal, 1, 1e-12);
  EXPECT_NEAR(error.noise / noise, 1, 1e-12);
}

TEST_F(OutputErrorTest, NothingInNothingOut) {
  Layer layer = makeLayer(3, 8, 4);
  std::vector<float> zeros(64, 0.0f);
  WeightView weight = WeightView::rowMajor(getBytes(layer.before), 3, 8);
  EXPECT_EQ(computeOutputError(weight, layer.after, zeros).getRelative(), 0);
  EXPECT_EQ(computeOutputError(weight, layer.before, makeHessian(layer))
                .getRelative(),
            0);
  EXPECT_TRUE(std::isinf(OutputError({0, 1}).getRelative()));
}

} // namespace
