//===- OutliersTest.cpp - LLM.int8 ----------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Outliers.h"
#include "Golden.h"
#include "RandomWeights.h"
#include "llvm/Support/Error.h"
#include <cfloat>
#include <cmath>

using namespace nibble::quantizer;
using namespace nibble::quantizer::test;

namespace {

const char *const inputs[] = {"many", "few",  "single", "none",
                              "all",  "edge", "zeros"};

std::string getError(std::vector<float> weights, int64_t rows) {
  std::vector<uint8_t> codes(weights.size());
  std::vector<float> scales(rows);
  auto view =
      WeightView::rowMajor(getBytes(weights), rows, weights.size() / rows);
  return llvm::toString(quantizeOutlierWeight(view, codes, scales, 1));
}

TEST(LLMInt8, WeightsAreThoseOfBitsandbytes) {
  Golden golden("llm-int8.txt");
  for (std::string name : {"weight.random", "weight.hard", "weight.one"}) {
    SCOPED_TRACE(name);
    std::vector<float> weights = golden.floats(name);
    int64_t rows = golden[name].shape[0], cols = golden[name].shape[1];
    std::vector<float> transposed(weights.size());
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c)
        transposed[c * rows + r] = weights[r * cols + c];
    auto wanted = golden.integers<int8_t>(name + ".codes");
    std::vector<float> absMax = golden.floats(name + ".absmax");
    for (auto view :
         {WeightView::rowMajor(getBytes(weights), rows, cols),
          WeightView::transposed(getBytes(transposed), rows, cols)}) {
      std::vector<uint8_t> codes(weights.size());
      std::vector<float> scales(rows);
      ASSERT_FALSE(bool(quantizeOutlierWeight(view, codes, scales)));
      for (size_t i = 0; i < codes.size(); ++i)
        ASSERT_EQ(codes[i] - 128, wanted[i]) << "weight " << i;
      for (int64_t r = 0; r < rows; ++r) {
        EXPECT_EQ(scales[r], absMax[r] / 127);
        // Nothing is lost: absmax is a half.
        EXPECT_EQ(halfToFloat(floatToHalf(scales[r] * 127)), absMax[r]);
      }
    }
  }
}

TEST(LLMInt8, ActivationsAreThoseOfBitsandbytes) {
  Golden golden("llm-int8.txt");
  for (std::string name : inputs) {
    SCOPED_TRACE(name);
    std::vector<float> x = golden.floats("input." + name);
    int64_t rows = golden["input." + name].shape[0];
    std::vector<int8_t> codes(x.size());
    std::vector<float> scales(rows);
    auto columns = quantizeOutlierActivations(x, rows, 6, codes, scales);
    EXPECT_EQ(columns, golden.integers<int32_t>("input." + name + ".columns"));
    EXPECT_EQ(codes, golden.integers<int8_t>("input." + name + ".codes"));
    std::vector<float> absMax = golden.floats("input." + name + ".absmax");
    for (int64_t r = 0; r < rows; ++r)
      EXPECT_EQ(scales[r], absMax[r] / 127);
  }
}

/// The product in double precision, from codes and outlier columns.
std::vector<double> multiply(const std::vector<float> &x, int64_t rows,
                             const std::vector<uint8_t> &weight,
                             const std::vector<float> &weightScales,
                             const std::vector<float> &bias) {
  int64_t n = weightScales.size(), k = x.size() / rows;
  std::vector<int8_t> codes(x.size());
  std::vector<float> scales(rows);
  auto columns = quantizeOutlierActivations(x, rows, 6, codes, scales);
  std::vector<double> y;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < n; ++j) {
      int32_t sum = 0;
      for (int64_t i = 0; i < k; ++i)
        sum += codes[r * k + i] * (weight[j * k + i] - 128);
      double value = double(sum) * scales[r] * weightScales[j] + bias[j];
      for (int32_t i : columns)
        value +=
            double(x[r * k + i]) * (weight[j * k + i] - 128) * weightScales[j];
      y.push_back(value);
    }
  return y;
}

TEST(LLMInt8, ProductsAreThoseOfBitsandbytes) {
  Golden golden("llm-int8.txt");
  std::vector<float> weights = golden.floats("product.weight");
  std::vector<float> bias = golden.floats("product.bias");
  int64_t n = bias.size(), k = weights.size() / n;
  std::vector<uint8_t> codes(weights.size());
  std::vector<float> scales(n);
  auto view = WeightView::rowMajor(getBytes(weights), n, k);
  ASSERT_FALSE(bool(quantizeOutlierWeight(view, codes, scales)));
  for (std::string name : inputs) {
    std::vector<float> x = golden.floats("input." + name);
    int64_t rows = golden["input." + name].shape[0];
    std::vector<double> got = multiply(x, rows, codes, scales, bias);
    std::vector<float> want = golden.floats("input." + name + ".product");
    ASSERT_EQ(got.size(), want.size());
    double error = 0, norm = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      error += (got[i] - want[i]) * (got[i] - want[i]);
      norm += double(want[i]) * want[i];
    }
    // Integer part, weights of the outliers, and sum are halves there: each is
    // off by up to 2^-11 of itself. Ours are floats.
    EXPECT_LT(std::sqrt(error / norm), 1e-3) << name;
  }
}

TEST(LLMInt8, WithoutAThresholdNothingIsLeftOut) {
  std::vector<float> x = {1, -1270, 635, 5, 0, 0, 0, 0};
  std::vector<int8_t> codes(x.size(), 99);
  std::vector<float> scales(2);
  EXPECT_TRUE(quantizeOutlierActivations(x, 2, 0, codes, scales).empty());
  EXPECT_EQ(codes, (std::vector<int8_t>{0, -127, 64, 0, 0, 0, 0, 0}));
  EXPECT_EQ(scales, (std::vector<float>{10, 0}));
}

TEST(LLMInt8, OtherValuesOfAnOutlierColumnCount) {
  // Column 1 is left out; its 5 is the largest of the second row all the same.
  std::vector<float> x = {1, 60, 2, 2.5, 5, -1};
  std::vector<int8_t> codes(x.size());
  std::vector<float> scales(2);
  EXPECT_EQ(quantizeOutlierActivations(x, 2, 6, codes, scales),
            (std::vector<int32_t>{1}));
  EXPECT_EQ(scales, (std::vector<float>{2.0f / 127, 5.0f / 127}));
  EXPECT_EQ(codes, (std::vector<int8_t>{64, 0, 127, 64, 0, -25}));
}

TEST(LLMInt8, NumbersThatAreNone) {
  // An infinity is an outlier; a NaN is not, and its row has no scale.
  std::vector<float> x = {1, INFINITY, 2, NAN, 1, 2, FLT_MIN, 0, 1e-40f};
  std::vector<int8_t> codes(x.size());
  std::vector<float> scales(3);
  EXPECT_EQ(quantizeOutlierActivations(x, 3, 6, codes, scales),
            (std::vector<int32_t>{1}));
  EXPECT_EQ(scales[0], 2.0f / 127);
  EXPECT_TRUE(std::isnan(scales[1]));
  // Too small for a factor.
  EXPECT_EQ(scales[2], FLT_MIN / 127);
  EXPECT_EQ(codes[6], 0);
}

TEST(LLMInt8, WeightsThatAreNoHalvesAreRefused) {
  EXPECT_EQ(getError({1, 2, NAN, 3}, 2),
            "weight at row 1, column 0 is NaN: only finite weights can be "
            "quantized");
  EXPECT_EQ(getError({1, -INFINITY, NAN, 3}, 2),
            "weight at row 0, column 1 is infinite: only finite weights can be "
            "quantized");
  EXPECT_EQ(getError({1, 2, 3, 65520}, 2),
            "weight at row 1, column 1 is 6.552000e+04: LLM.int8 takes weights "
            "in half precision, at most 65504");
  EXPECT_EQ(getError({1, 2, 3, -65519}, 2), "");
}

} // namespace
