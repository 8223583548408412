//===- ErrorStatisticsTest.cpp - How far codes are from weights -----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/ErrorStatistics.h"
#include "RandomWeights.h"
#include "nibble/Quantizer/Method.h"

using namespace nibble::quantizer;
using namespace nibble::quantizer::test;

namespace {

class ErrorStatisticsTest : public RandomTest {};

TEST_F(ErrorStatisticsTest, SumsOverAllWeights) {
  int64_t rows = 37, cols = 51;
  std::vector<float> values = makeNormal(rows * cols);
  WeightView weight = WeightView::rowMajor(getBytes(values), rows, cols);
  QuantizationScheme scheme;
  scheme.group = 16;
  scheme.symmetric = false;
  llvm::Expected<QuantizedWeight> result = quantize("rtn", {weight, scheme, 2});
  ASSERT_TRUE(bool(result));
  std::vector<float> back(values.size());
  dequantize(*result, back);
  double signal = 0, noise = 0, product = 0, quantized = 0, largest = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    double error = double(values[i]) - back[i];
    signal += double(values[i]) * values[i];
    noise += error * error;
    product += double(values[i]) * back[i];
    quantized += double(back[i]) * back[i];
    largest = std::max(largest, std::fabs(error));
  }
  ErrorStatistics statistics = computeErrorStatistics(weight, *result, 2);
  EXPECT_EQ(statistics.count, rows * cols);
  EXPECT_NEAR(statistics.getSQNR(), 10 * std::log10(signal / noise), 1e-9);
  EXPECT_NEAR(statistics.getCosine(), product / std::sqrt(signal * quantized),
              1e-12);
  EXPECT_DOUBLE_EQ(statistics.maxAbsError, largest);
}

TEST_F(ErrorStatisticsTest, ExactAndEmptyWeights) {
  std::vector<float> values(32, 0.0f);
  WeightView weight = WeightView::rowMajor(getBytes(values), 2, 16);
  llvm::Expected<QuantizedWeight> result =
      quantize("rtn", {weight, QuantizationScheme(), 1});
  ASSERT_TRUE(bool(result));
  ErrorStatistics statistics = computeErrorStatistics(weight, *result);
  EXPECT_TRUE(std::isinf(statistics.getSQNR()));
  EXPECT_EQ(statistics.getCosine(), 1);
  EXPECT_EQ(statistics.maxAbsError, 0);
}

} // namespace
