//===- HQQTest.cpp - Half-quadratic quantization --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/HQQ.h"
#include "RandomWeights.h"
#include "nibble/Quantizer/Method.h"
#include <cmath>
#include <fstream>
#include <limits>

using namespace nibble::quantizer;
using nibble::quantizer::test::getBytes;

namespace {

struct Result {
  std::vector<uint8_t> codes;
  std::vector<float> scales, zeros;
  std::string error;
};

class HQQTest : public test::RandomTest {
protected:
  static QuantizationScheme makeScheme(unsigned bits, int64_t group,
                                       ScaleType type = ScaleType::F32) {
    QuantizationScheme scheme;
    scheme.bits = bits;
    scheme.group = group;
    scheme.scaleType = type;
    return scheme;
  }

  static Result quantize(const std::vector<float> &values, int64_t cols,
                         const QuantizationScheme &scheme,
                         const HQQOptions &options = {}, unsigned threads = 1) {
    int64_t rows = values.size() / cols;
    Result result;
    result.codes.resize(values.size());
    result.scales.resize(rows * scheme.getNumGroups(cols));
    result.zeros.resize(result.scales.size());
    if (llvm::Error error = quantizeHQQ(
            WeightView::rowMajor(getBytes(values), rows, cols), scheme, options,
            result.codes, result.scales, result.zeros, threads))
      result.error = llvm::toString(std::move(error));
    return result;
  }

  static double getMeanError(const std::vector<float> &values, int64_t cols,
                             int64_t group, const Result &result) {
    int64_t groups = (cols + group - 1) / group;
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      size_t at = i / cols * groups + i % cols / group;
      sum += std::fabs(values[i] - result.scales[at] *
                                       (result.codes[i] - result.zeros[at]));
    }
    return sum / values.size();
  }
};

// Inputs/hqq.txt: see scripts/golden_hqq.py.
TEST_F(HQQTest, AsThePackage) {
  std::ifstream file(NIBBLE_QUANTIZER_INPUTS "/hqq.txt");
  int64_t cols, group, rows;
  unsigned bits, cases = 0;
  while (file >> bits >> rows >> cols >> group) {
    ++cases;
    auto read = [&](size_t count) {
      std::vector<float> values(count);
      for (float &value : values)
        file >> value;
      return values;
    };
    std::vector<float> values = read(rows * cols);
    size_t groups = rows * cols / group;
    std::vector<float> scales = read(groups), step = read(groups),
                       zeros = read(groups);
    float error = read(1)[0];
    ASSERT_TRUE(bool(file));

    HQQOptions once;
    once.iterations = 1;
    Result result = quantize(values, cols, makeScheme(bits, group), once);
    unsigned stepped = 0;
    for (size_t i = 0; i < groups; ++i) {
      EXPECT_FLOAT_EQ(result.scales[i], scales[i]);
      // The first zero is kept where the step does not help.
      stepped += std::fabs(result.zeros[i] - step[i]) < 2e-4f * step[i];
    }
    EXPECT_GT(stepped, groups / 2) << bits << " bits";
    result = quantize(values, cols, makeScheme(bits, group));
    for (size_t i = 0; i < groups; ++i)
      EXPECT_NEAR(result.zeros[i], zeros[i], 0.5) << bits << " bits";
    EXPECT_LE(getMeanError(values, cols, group, result), error * 1.00001);
  }
  EXPECT_EQ(cases, 4u);
}

TEST_F(HQQTest, BetterThanTheFirstZero) {
  std::vector<float> values = makeNormal(64 * 256, 0.02f);
  for (unsigned bits : {2, 3, 4}) {
    HQQOptions none;
    none.iterations = 0;
    QuantizationScheme scheme = makeScheme(bits, 64, ScaleType::F16);
    double before =
        getMeanError(values, 256, 64, quantize(values, 256, scheme, none));
    double after = getMeanError(values, 256, 64, quantize(values, 256, scheme));
    EXPECT_LT(after, 0.99 * before) << bits << " bits";
  }
}

TEST_F(HQQTest, IsAMethod) {
  std::vector<float> values = makeNormal(4 * 96);
  MethodInput input = {WeightView::rowMajor(getBytes(values), 4, 96),
                       makeScheme(4, 32), 1};
  EXPECT_NE(
      llvm::toString(nibble::quantizer::quantize("hqq", input).takeError())
          .find("float zeros"),
      std::string::npos);
  input.scheme.symmetric = false;
  input.scheme.zero = ZeroKind::Float;
  llvm::Expected<QuantizedWeight> result =
      nibble::quantizer::quantize("hqq", input);
  ASSERT_TRUE(bool(result)) << llvm::toString(result.takeError());
  std::vector<float> back(values.size());
  dequantize(*result, back);
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(back[i], values[i], 1.2f * result->scales[i / 32]);
}

TEST_F(HQQTest, ConstantsAreExact) {
  std::vector<float> values(96, 0);
  std::fill(values.begin() + 32, values.begin() + 64, 0.75f);
  std::fill(values.begin() + 64, values.end(), -3.0f);
  Result result = quantize(values, 32, makeScheme(4, 32, ScaleType::F16));
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(getMeanError(values, 32, 32, result), 0);
}

TEST_F(HQQTest, ShortLastGroupsAndAnyNumberOfThreads) {
  std::vector<float> values = makeNormal(41 * 100);
  QuantizationScheme scheme = makeScheme(3, 64, ScaleType::BF16);
  Result one = quantize(values, 100, scheme);
  Result many = quantize(values, 100, scheme, {}, 4);
  EXPECT_EQ(one.codes, many.codes);
  EXPECT_EQ(one.scales, many.scales);
  EXPECT_EQ(one.zeros, many.zeros);
  EXPECT_EQ(one.scales.size(), 82u);
}

TEST_F(HQQTest, RefusesBadInput) {
  std::vector<float> values = makeNormal(64);
  values[40] = std::nanf("");
  EXPECT_EQ(quantize(values, 32, makeScheme(4, 32)).error,
            "weight at row 1, column 8 is NaN: only finite weights can be "
            "quantized");
  values[40] = 1e7f;
  EXPECT_EQ(quantize(values, 32, makeScheme(4, 32, ScaleType::F16)).error,
            "scale or zero of row 1, group 0 is too large for f16: use a wider "
            "scale type");
  HQQOptions options;
  options.norm = 2;
  EXPECT_EQ(quantize(values, 32, makeScheme(4, 32), options).error,
            "HQQ's norm is 2.00: expected more than 0, at most 1");
}

} // namespace
