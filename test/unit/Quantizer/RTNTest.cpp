//===- RTNTest.cpp - Round to nearest -------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/RTN.h"
#include "RandomWeights.h"
#include "nibble/Quantizer/ErrorStatistics.h"
#include "nibble/Quantizer/Method.h"
#include <cmath>
#include <limits>

using namespace nibble::quantizer;
using namespace nibble::quantizer::test;

namespace {

class RTNTest : public RandomTest {
protected:
  static QuantizedWeight quantizeOrFail(const WeightView &weight,
                                        const QuantizationScheme &scheme,
                                        unsigned threads = 1) {
    llvm::Expected<QuantizedWeight> result =
        quantize("rtn", {weight, scheme, threads});
    if (result)
      return std::move(*result);
    ADD_FAILURE() << llvm::toString(result.takeError());
    return QuantizedWeight(scheme, weight.rows, weight.cols);
  }
  static std::string getError(const WeightView &weight,
                              const QuantizationScheme &scheme,
                              unsigned threads = 1) {
    llvm::Expected<QuantizedWeight> result =
        quantize("rtn", {weight, scheme, threads});
    return result ? "" : llvm::toString(result.takeError());
  }
  static QuantizationScheme makeScheme(unsigned bits, int64_t group,
                                       bool symmetric,
                                       ScaleType type = ScaleType::F32,
                                       ScaleRule rule = ScaleRule::AbsMax) {
    QuantizationScheme scheme;
    scheme.bits = bits;
    scheme.group = group;
    scheme.symmetric = symmetric;
    scheme.scaleType = type;
    scheme.scaleRule = rule;
    return scheme;
  }
};

/// The definition, one weight at a time in double precision. Scales are
/// compared with a tolerance and codes follow from the scale that was chosen,
/// because a quotient may lie within a rounding error of a tie.
void checkAgainstDefinition(const WeightView &weight,
                            const QuantizedWeight &result) {
  const QuantizationScheme &scheme = result.scheme;
  int64_t length =
      scheme.group == -1 ? weight.cols : std::min(scheme.group, weight.cols);
  int64_t groups = (weight.cols + length - 1) / length;
  ASSERT_EQ(groups, scheme.getNumGroups(weight.cols));
  double half = std::exp2(scheme.bits - 1), full = std::exp2(scheme.bits) - 1;
  double precision = scheme.scaleType == ScaleType::F32   ? 0x1p-23
                     : scheme.scaleType == ScaleType::F16 ? 0x1p-11
                                                          : 0x1p-8;
  for (int64_t row = 0; row < weight.rows; ++row)
    for (int64_t group = 0; group < groups; ++group) {
      int64_t begin = group * length;
      int64_t end = std::min(weight.cols, begin + length);
      double min = 0, max = 0;
      for (int64_t col = begin; col < end; ++col) {
        min = std::min<double>(min, weight.at(row, col));
        max = std::max<double>(max, weight.at(row, col));
      }
      double scale = result.scales[row * groups + group];
      double expected = scheme.symmetric ? std::max(max, -min) / (half - 1)
                                         : (max - min) / full;
      // Half-precision numbers below 2^-14 are 2^-24 apart, and what would be
      // zero becomes the least of them.
      double tolerance = expected * precision;
      if (scheme.scaleType == ScaleType::F16)
        tolerance = std::max(tolerance, expected < 0x1p-25 ? 0x1p-24 : 0x1p-25);
      ASSERT_NEAR(scale, expected, tolerance) << row << " " << group;
      double zero = half;
      if (!scheme.symmetric) {
        zero = result.zeros[row * groups + group];
        ASSERT_NEAR(zero, std::min(full, -min / scale), 0.5 + 1e-5);
      }
      for (int64_t col = begin; col < end; ++col) {
        double code = result.codes[row * weight.cols + col];
        double exact = weight.at(row, col) / scale;
        exact = std::min(std::max(exact, -zero), full - zero) + zero;
        ASSERT_NEAR(code, exact, 0.5 + 1e-5) << row << " " << col;
      }
    }
}

TEST_F(RTNTest, FollowsTheDefinition) {
  struct Shape {
    int64_t rows, cols, group;
  };
  for (Shape shape : {Shape{1, 1, 16},
                      {3, 7, -1},
                      {17, 33, 16},
                      {33, 100, 32},
                      {5, 130, 64},
                      {16, 256, 256},
                      {40, 27, 128},
                      {2, 48, 1}})
    for (unsigned bits = 2; bits <= 8; ++bits)
      for (bool symmetric : {true, false})
        for (ScaleType type :
             {ScaleType::F32, ScaleType::F16, ScaleType::BF16}) {
          std::vector<float> values = makeNormal(shape.rows * shape.cols, 0.1f);
          WeightView weight =
              WeightView::rowMajor(getBytes(values), shape.rows, shape.cols);
          checkAgainstDefinition(
              weight, quantizeOrFail(weight, makeScheme(bits, shape.group,
                                                        symmetric, type)));
          if (HasFatalFailure())
            return;
        }
}

TEST_F(RTNTest, OneSidedGroupsIncludeZero) {
  std::vector<float> values = {3, 4, 5, 6, -3, -4, -5, -7.5};
  QuantizedWeight result =
      quantizeOrFail(WeightView::rowMajor(getBytes(values), 2, 4),
                     makeScheme(4, -1, /*symmetric=*/false));
  EXPECT_FLOAT_EQ(result.scales[0], 0.4f);
  EXPECT_EQ(result.zeros[0], 0);
  EXPECT_EQ(result.codes[3], 15);
  EXPECT_FLOAT_EQ(result.scales[1], 0.5f);
  EXPECT_EQ(result.zeros[1], 15);
  EXPECT_EQ(result.codes[7], 0);
}

TEST_F(RTNTest, TiesGoToEven) {
  // The scale is 1, so weights are the quotients themselves.
  std::vector<float> values = {0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 6.5, 7};
  QuantizedWeight result =
      quantizeOrFail(WeightView::rowMajor(getBytes(values), 1, 8),
                     makeScheme(4, -1, /*symmetric=*/true));
  EXPECT_EQ(result.scales[0], 1);
  EXPECT_EQ(result.codes, (std::vector<uint8_t>{8, 10, 10, 8, 6, 6, 14, 15}));

  // Zero 3: the tie is broken before the zero is added.
  values = {-3, 0.5, 1.5, 2.5, 12, -0.5, -1.5, -2.5};
  result = quantizeOrFail(WeightView::rowMajor(getBytes(values), 1, 8),
                          makeScheme(4, -1, /*symmetric=*/false));
  EXPECT_EQ(result.scales[0], 1);
  EXPECT_EQ(result.zeros[0], 3);
  EXPECT_EQ(result.codes, (std::vector<uint8_t>{0, 3, 5, 5, 15, 3, 1, 1}));
}

TEST_F(RTNTest, CodesUseTheRoundedScale) {
  // absmax / 127 rounds down to bfloat16, so that the largest weight is more
  // than 127 steps away from zero and is clamped.
  std::vector<float> values = {1.01f * 127, 100, -1.01f * 127};
  QuantizedWeight result =
      quantizeOrFail(WeightView::rowMajor(getBytes(values), 1, 3),
                     makeScheme(8, -1, true, ScaleType::BF16));
  EXPECT_EQ(result.scales[0], 1.0078125f);
  EXPECT_EQ(result.codes, (std::vector<uint8_t>{255, 128 + 99, 128 - 127}));
}

TEST_F(RTNTest, TransposedWeightsNeedNoCopy) {
  int64_t rows = 45, cols = 77;
  std::vector<float> values = makeNormal(rows * cols);
  std::vector<float> exchanged(values.size());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t col = 0; col < cols; ++col)
      exchanged[col * rows + row] = values[row * cols + col];
  // Mapped weights lie at any address.
  std::vector<char> unaligned(values.size() * sizeof(float) + 1);
  std::memcpy(unaligned.data() + 1, exchanged.data(),
              values.size() * sizeof(float));
  for (bool symmetric : {true, false}) {
    QuantizationScheme scheme = makeScheme(4, 32, symmetric, ScaleType::F16);
    QuantizedWeight straight = quantizeOrFail(
        WeightView::rowMajor(getBytes(values), rows, cols), scheme);
    QuantizedWeight strided = quantizeOrFail(
        WeightView::transposed(unaligned.data() + 1, rows, cols), scheme);
    EXPECT_EQ(straight.codes, strided.codes);
    EXPECT_EQ(straight.scales, strided.scales);
    EXPECT_EQ(straight.zeros, strided.zeros);
  }
}

TEST_F(RTNTest, SameForAnyNumberOfThreads) {
  int64_t rows = 203, cols = 165;
  std::vector<float> values = makeNormal(rows * cols);
  WeightView weight = WeightView::rowMajor(getBytes(values), rows, cols);
  for (ScaleRule rule : {ScaleRule::AbsMax, ScaleRule::MSE}) {
    QuantizationScheme scheme = makeScheme(3, 64, false, ScaleType::F16, rule);
    QuantizedWeight one = quantizeOrFail(weight, scheme, 1);
    ErrorStatistics expected = computeErrorStatistics(weight, one, 1);
    for (unsigned threads : {2, 3, 8}) {
      QuantizedWeight many = quantizeOrFail(weight, scheme, threads);
      EXPECT_EQ(one.codes, many.codes);
      EXPECT_EQ(one.scales, many.scales);
      EXPECT_EQ(one.zeros, many.zeros);
      EXPECT_EQ(computeErrorStatistics(weight, many, threads).noise,
                expected.noise);
    }
  }
}

// Signal to noise of normal weights, in dB, as other implementations of the
// same rules give it: absmax is AWQ's, full-range that of GPTQ's libraries,
// signed-max, the default for symmetric codes, GGML's.
TEST_F(RTNTest, NoiseOfNormalWeights) {
  struct Anchor {
    unsigned bits;
    bool symmetric;
    ScaleRule rule;
    double sqnr[3];
  };
  const Anchor anchors[] = {
      {4, true, ScaleRule::AbsMax, {20.29, 19.38, 18.64}},
      {4, true, ScaleRule::FullRange, {20.50, 19.77, 19.16}},
      {4, true, ScaleRule::SignedMax, {21.36, 20.48, 19.79}},
      {4, false, ScaleRule::AbsMax, {21.87, 20.85, 20.00}},
      {3, true, ScaleRule::AbsMax, {12.91, 11.99, 11.28}},
      {3, true, ScaleRule::FullRange, {13.85, 13.13, 12.49}},
      {3, true, ScaleRule::SignedMax, {15.16, 14.33, 13.64}},
      {3, false, ScaleRule::AbsMax, {15.23, 14.19, 13.31}},
      {2, true, ScaleRule::AbsMax, {3.62, 2.86, 2.30}},
      {2, true, ScaleRule::FullRange, {6.53, 5.84, 5.21}},
      {2, true, ScaleRule::SignedMax, {8.84, 8.12, 7.50}},
      {2, false, ScaleRule::AbsMax, {7.85, 6.83, 5.99}}};
  int64_t rows = 2048, cols = 1024;
  std::vector<float> values = makeNormal(rows * cols);
  WeightView weight = WeightView::rowMajor(getBytes(values), rows, cols);
  for (const Anchor &anchor : anchors)
    for (int i = 0; i < 3; ++i) {
      QuantizationScheme scheme = makeScheme(
          anchor.bits, 32 << i, anchor.symmetric, ScaleType::F32, anchor.rule);
      double sqnr =
          computeErrorStatistics(weight, quantizeOrFail(weight, scheme, 0))
              .getSQNR();
      EXPECT_NEAR(sqnr, anchor.sqnr[i], 0.1)
          << anchor.bits << " bits, symmetric " << anchor.symmetric
          << ", group " << scheme.group;
    }
}

TEST_F(RTNTest, SearchedScalesHaveLessNoise) {
  std::vector<float> values = makeNormal(64 * 200);
  WeightView weight = WeightView::rowMajor(getBytes(values), 64, 200);
  for (unsigned bits : {2, 3, 4})
    for (bool symmetric : {true, false}) {
      QuantizationScheme scheme = makeScheme(bits, 128, symmetric);
      double plain =
          computeErrorStatistics(weight, quantizeOrFail(weight, scheme))
              .getSQNR();
      scheme.scaleRule = ScaleRule::MSE;
      double searched =
          computeErrorStatistics(weight, quantizeOrFail(weight, scheme))
              .getSQNR();
      EXPECT_GT(searched, plain + 0.3) << bits << " bits";
    }
}

TEST_F(RTNTest, SignedMaxMakesTheLargestWeightExact) {
  std::vector<float> values = {1, -2, 4, 3, 1, -8, 2, 3};
  QuantizedWeight result = quantizeOrFail(
      WeightView::rowMajor(getBytes(values), 2, 4),
      makeScheme(4, -1, true, ScaleType::F32, ScaleRule::SignedMax));
  EXPECT_EQ(result.scales, (std::vector<float>{-0.5, 1}));
  EXPECT_EQ(result.codes[2], 0);
  EXPECT_EQ(result.codes[5], 0);
}

TEST_F(RTNTest, ZerosAndTinyWeights) {
  constexpr float tiny = std::numeric_limits<float>::denorm_min();
  std::vector<float> values = {0, -0.0f, 0, 0, tiny, -tiny, 0, tiny};
  WeightView weight = WeightView::rowMajor(getBytes(values), 2, 4);
  for (bool symmetric : {true, false})
    for (ScaleType type : {ScaleType::F32, ScaleType::F16, ScaleType::BF16})
      for (ScaleRule rule : {ScaleRule::AbsMax, ScaleRule::MSE}) {
        QuantizedWeight result =
            quantizeOrFail(weight, makeScheme(4, -1, symmetric, type, rule));
        EXPECT_EQ(result.scales[0], 1);
        EXPECT_GT(result.scales[1], 0);
        std::vector<float> back(8);
        dequantize(result, back);
        for (int i = 0; i < 8; ++i)
          EXPECT_LE(std::fabs(back[i] - values[i]), result.scales[1]) << i;
        EXPECT_EQ(back[0], 0);
      }
}

TEST_F(RTNTest, RefusesWhatIsNotFinite) {
  for (unsigned threads : {1, 4}) {
    std::vector<float> values = makeNormal(64 * 96);
    values[40 * 96 + 50] = std::numeric_limits<float>::infinity();
    values[7 * 96 + 33] = std::nanf("");
    WeightView weight = WeightView::rowMajor(getBytes(values), 64, 96);
    EXPECT_EQ(getError(weight, makeScheme(4, 32, true), threads),
              "weight at row 7, column 33 is NaN: only finite weights can be "
              "quantized");
    values[7 * 96 + 33] = 0;
    EXPECT_EQ(getError(weight, makeScheme(8, -1, false), threads),
              "weight at row 40, column 50 is infinite: only finite weights "
              "can be quantized");
  }
}

TEST_F(RTNTest, RefusesScalesThatOverflow) {
  std::vector<float> values = {1, 1e6f, 0, 3e38f, -3e38f, 1};
  WeightView weight = WeightView::rowMajor(getBytes(values), 2, 3);
  EXPECT_EQ(getError(weight, makeScheme(4, -1, true, ScaleType::F16)),
            "scale of row 0, group 0 is too large for f16 (weights from "
            "-0.000000e+00 to 1.000000e+06): use a wider scale type");
  for (ScaleType type : {ScaleType::F32, ScaleType::BF16})
    for (bool symmetric : {true, false})
      EXPECT_EQ(getError(weight, makeScheme(4, -1, symmetric, type)), "");
}

TEST_F(RTNTest, RefusesSchemesOutOfRange) {
  std::vector<float> values = {1, 2};
  WeightView weight = WeightView::rowMajor(getBytes(values), 1, 2);
  EXPECT_EQ(getError(weight, makeScheme(9, 32, true)),
            "codes of 9 bits: expected 2 to 8");
  EXPECT_EQ(getError(weight, makeScheme(4, 0, true)),
            "group of 0 weights: expected 1 or more, or -1 for one group per "
            "row");
  EXPECT_EQ(
      getError(weight,
               makeScheme(4, 32, false, ScaleType::F32, ScaleRule::SignedMax)),
      "scale rule signed-max is for symmetric schemes: use absmax or mse");
  llvm::Expected<QuantizedWeight> result =
      quantize("gptk", {weight, makeScheme(4, 32, true), 1});
  ASSERT_FALSE(bool(result));
  std::string message = llvm::toString(result.takeError());
  EXPECT_EQ(
      message.rfind("unknown quantization method 'gptk': expected one of ", 0),
      0u)
      << message;
  EXPECT_NE(message.find("rtn"), std::string::npos) << message;
}

TEST_F(RTNTest, BitsPerWeightCountScalesAndZeros) {
  EXPECT_DOUBLE_EQ(
      makeScheme(4, 128, true, ScaleType::F16).getBitsPerWeight(4096), 4.125);
  EXPECT_DOUBLE_EQ(
      makeScheme(4, 32, false, ScaleType::F16).getBitsPerWeight(4096), 4.75);
  EXPECT_DOUBLE_EQ(makeScheme(8, -1, true).getBitsPerWeight(64), 8.5);
  // The last group of 4 weights has a scale of its own.
  EXPECT_DOUBLE_EQ(
      makeScheme(4, 32, true, ScaleType::F16).getBitsPerWeight(100),
      4 + 4 * 16 / 100.0);
}

} // namespace
