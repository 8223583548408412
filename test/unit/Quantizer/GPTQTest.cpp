//===- GPTQTest.cpp - Rounding that makes up for its errors ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/GPTQ.h"
#include "Golden.h"
#include "RandomWeights.h"
#include "ReferenceGPTQ.h"
#include "nibble/Quantizer/DenseMath.h"
#include "nibble/Quantizer/Method.h"
#include "nibble/Quantizer/RTN.h"
#include <cmath>

using namespace nibble::quantizer;
using namespace nibble::quantizer::test;

namespace {

class GPTQTest : public RandomTest {
protected:
  /// X^T X of correlated inputs with columns of different size.
  std::vector<float> makeHessian(int64_t cols) {
    int64_t rows = 2 * cols + 8;
    std::vector<float> x = makeNormal(rows * cols);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t col = 0; col < cols; ++col) {
        float &value = x[row * cols + col];
        if (col > 0)
          value = 0.8f * x[row * cols + col - 1] + 0.6f * value;
      }
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t col = 0; col < cols; ++col)
        x[row * cols + col] *= std::exp(std::sin(1.7f * col));
    std::vector<float> hessian(cols * cols);
    addOuterProducts({x.data(), rows, cols, cols}, hessian);
    mirrorUpper(hessian, cols);
    return hessian;
  }

  QuantizedWeight run(const WeightView &weight,
                      const QuantizationScheme &scheme,
                      const std::vector<float> &hessian,
                      const GPTQOptions &options, unsigned threads = 2) {
    QuantizedWeight result(scheme, weight.rows, weight.cols);
    GPTQFactor factor(hessian, weight.cols, scheme.getGroupLength(weight.cols),
                      options, threads);
    llvm::Expected<GPTQOutcome> done =
        quantizeGPTQ(weight, factor, result, threads);
    if (done)
      outcome = *done;
    else
      ADD_FAILURE() << llvm::toString(done.takeError());
    return result;
  }

  QuantizedWeight round(const WeightView &weight,
                        const QuantizationScheme &scheme) {
    QuantizedWeight result(scheme, weight.rows, weight.cols);
    llvm::cantFail(
        quantizeRTN(weight, scheme, result.codes, result.scales, result.zeros));
    return result;
  }

  static QuantizationScheme makeScheme(unsigned bits, int64_t group,
                                       bool symmetric,
                                       ScaleRule rule = ScaleRule::AbsMax,
                                       ScaleType type = ScaleType::F32) {
    QuantizationScheme scheme;
    scheme.bits = bits;
    scheme.group = group;
    scheme.symmetric = symmetric;
    scheme.scaleType = type;
    scheme.scaleRule = rule;
    return scheme;
  }

  static GPTQOptions inNaturalOrder() {
    GPTQOptions options;
    options.groupAware = false;
    return options;
  }

  GPTQOutcome outcome;
};

/// Every combination of orders with bits, groups, kinds and rules.
TEST_F(GPTQTest, MatchesReferenceInDoublePrecision) {
  int64_t rows = 33, cols = 110;
  std::vector<float> values = makeNormal(rows * cols);
  WeightView weight = WeightView::rowMajor(getBytes(values), rows, cols);
  std::vector<float> hessian = makeHessian(cols);
  std::vector<GPTQOptions> orders(4);
  orders[0].groupAware = false;
  orders[2].activationOrder = true;
  orders[3].activationOrder = orders[3].staticGroups = true;
  int64_t numRows = 0, differentRows = 0;
  for (unsigned bits : {2, 3, 4, 8})
    for (int64_t group : {32, 48, -1})
      for (ScaleRule rule : {ScaleRule::AbsMax, ScaleRule::FullRange,
                             ScaleRule::SignedMax, ScaleRule::MSE})
        for (bool symmetric : {true, false})
          for (GPTQOptions options : orders) {
            if (rule == ScaleRule::SignedMax && !symmetric)
              continue;
            options.blockSize = 48;
            QuantizationScheme scheme =
                makeScheme(bits, group, symmetric, rule, ScaleType::F16);
            QuantizedWeight ours = run(weight, scheme, hessian, options);
            QuantizedWeight expected =
                runReferenceGPTQ(weight, scheme, hessian, options);
            EXPECT_EQ(ours.groupIndex, expected.groupIndex);
            double error = getOutputError(weight, ours, hessian, outcome.damp);
            EXPECT_NEAR(outcome.loss / error, 1, 1e-3);
            EXPECT_NEAR(
                error / getOutputError(weight, expected, hessian, outcome.damp),
                1, 0.02);
            for (int64_t row = 0; row < rows; ++row) {
              auto first = ours.codes.begin() + row * cols;
              differentRows += !std::equal(first, first + cols,
                                           expected.codes.begin() + row * cols);
            }
            numRows += rows;
          }
  // A value next to the middle between two codes can go either way, and all
  // that follow in its row with it.
  EXPECT_LE(differentRows, numRows / 100);
}

// Not 2 bits with zeros, for which GPTQModel tries two zeros.
TEST_F(GPTQTest, ValuesAreThoseOfGPTQModel) {
  Golden golden("gptq.txt");
  std::vector<float> floats = golden.floats("weight");
  std::vector<float> hessian = golden.floats("hessian");
  int64_t rows = golden["weight"].shape[0], cols = golden["weight"].shape[1];
  WeightView weight = WeightView::rowMajor(getBytes(floats), rows, cols);
  for (unsigned bits : {2, 3, 4, 8})
    for (bool symmetric : {true, false})
      for (std::string order : {"natural", "aware", "activation"}) {
        std::string name = std::to_string(bits) +
                           (symmetric ? ".symmetric." : ".asymmetric.") + order;
        if (!golden.contains(name))
          continue;
        GPTQOptions options;
        options.groupAware = order == "aware";
        options.activationOrder = order == "activation";
        QuantizationScheme scheme =
            makeScheme(bits, 16, symmetric, ScaleRule::FullRange);
        QuantizedWeight ours = run(weight, scheme, hessian, options);
        std::vector<float> values(rows * cols);
        std::vector<float> expected = golden.floats(name);
        dequantize(ours, values);
        for (int64_t i = 0; i < rows * cols; ++i)
          EXPECT_NEAR(values[i], expected[i], 1e-4)
              << name << " at " << i / cols << ", " << i % cols;
      }
}

// Measured with an implementation in plain Python, one seed.
TEST_F(GPTQTest, ErrorIsTheKnownPartOfRoundToNearest) {
  struct Anchor {
    double correlation;
    unsigned bits;
    double ratios[4]; ///< damp .01, with activation order; .05, with it
  };
  const Anchor anchors[] = {{0.5, 4, {.754, .641, .766, .660}},
                            {0.9, 4, {.209, .132, .244, .154}},
                            {0.97, 4, {.087, .046, .113, .063}},
                            {0.9, 3, {.222, .138, .251, .161}}};
  int64_t rows = 512, cols = 128;
  std::vector<float> values = makeNormal(rows * cols);
  WeightView weight = WeightView::rowMajor(getBytes(values), rows, cols);
  for (const Anchor &anchor : anchors) {
    std::vector<float> hessian(cols * cols);
    for (int64_t i = 0; i < cols; ++i)
      for (int64_t j = 0; j < cols; ++j)
        hessian[i * cols + j] = 2 * std::exp(std::sin(1.7 * i)) *
                                std::exp(std::sin(1.7 * j)) *
                                std::pow(anchor.correlation, std::abs(i - j));
    QuantizationScheme scheme = makeScheme(anchor.bits, -1, false);
    double rtn = getOutputError(weight, round(weight, scheme), hessian, 0);
    for (int i = 0; i < 4; ++i) {
      GPTQOptions options = inNaturalOrder();
      options.dampPercent = i < 2 ? 0.01 : 0.05;
      options.activationOrder = i % 2;
      QuantizedWeight result = run(weight, scheme, hessian, options);
      double ratio = getOutputError(weight, result, hessian, 0) / rtn;
      EXPECT_NEAR(ratio / anchor.ratios[i], 1, 0.15)
          << anchor.correlation << ", " << anchor.bits << " bits, " << i;
      EXPECT_LT(ratio, 1);
    }
  }
}

TEST_F(GPTQTest, IsRoundToNearestForIndependentInputs) {
  int64_t rows = 33, cols = 100;
  std::vector<float> values = makeNormal(rows * cols), hessian(cols * cols);
  for (int64_t col = 0; col < cols; ++col)
    hessian[col * cols + col] = 1 + random() % 1000;
  WeightView weight = WeightView::transposed(getBytes(values), rows, cols);
  for (bool symmetric : {true, false})
    for (bool groupAware : {true, false}) {
      GPTQOptions options;
      options.groupAware = groupAware;
      QuantizationScheme scheme = makeScheme(3, 32, symmetric);
      QuantizedWeight ours = run(weight, scheme, hessian, options);
      QuantizedWeight rounded = round(weight, scheme);
      EXPECT_EQ(ours.codes, rounded.codes);
      EXPECT_EQ(ours.scales, rounded.scales);
      EXPECT_EQ(ours.zeros, rounded.zeros);
    }
}

TEST_F(GPTQTest, TendsToRoundToNearestWithDamping) {
  int64_t rows = 32, cols = 64;
  std::vector<float> values = makeNormal(rows * cols);
  WeightView weight = WeightView::rowMajor(getBytes(values), rows, cols);
  std::vector<float> hessian = makeHessian(cols);
  for (int64_t col = 0; col < cols; ++col)
    hessian[col * cols + col] += 1e9f;
  QuantizationScheme scheme = makeScheme(4, 32, true);
  QuantizedWeight ours = run(weight, scheme, hessian, GPTQOptions());
  QuantizedWeight rounded = round(weight, scheme);
  int64_t different = 0;
  for (size_t i = 0; i < ours.codes.size(); ++i)
    different += ours.codes[i] != rounded.codes[i];
  EXPECT_LE(different, 2);
}

TEST_F(GPTQTest, DoesNotDependOnThreadsOrBlocks) {
  int64_t rows = 300, cols = 260;
  std::vector<float> values = makeNormal(rows * cols);
  WeightView weight = WeightView::rowMajor(getBytes(values), rows, cols);
  std::vector<float> hessian = makeHessian(cols);
  QuantizationScheme scheme = makeScheme(4, 64, false);
  QuantizedWeight one = run(weight, scheme, hessian, GPTQOptions(), 1);
  double loss = outcome.loss;
  for (unsigned threads : {2, 3, 7}) {
    QuantizedWeight many = run(weight, scheme, hessian, GPTQOptions(), threads);
    EXPECT_EQ(one.codes, many.codes);
    EXPECT_EQ(one.scales, many.scales);
    EXPECT_EQ(one.zeros, many.zeros);
    EXPECT_EQ(loss, outcome.loss);
  }
  for (int64_t blockSize : {1, 50, 1000}) {
    GPTQOptions options;
    options.blockSize = blockSize;
    run(weight, scheme, hessian, options);
    EXPECT_NEAR(outcome.loss / loss, 1, 1e-2);
  }
}

TEST_F(GPTQTest, DeadColumnsBecomeZero) {
  int64_t rows = 20, cols = 48;
  std::vector<float> values = makeNormal(rows * cols);
  WeightView weight = WeightView::rowMajor(getBytes(values), rows, cols);
  std::vector<float> hessian = makeHessian(cols);
  for (int64_t dead : {0, 31, 47})
    for (int64_t col = 0; col < cols; ++col)
      hessian[dead * cols + col] = hessian[col * cols + dead] = 0;
  QuantizedWeight result =
      run(weight, makeScheme(4, 16, false), hessian, GPTQOptions());
  EXPECT_EQ(outcome.numDead, 3);
  std::vector<float> floats(rows * cols);
  dequantize(result, floats);
  for (int64_t dead : {0, 31, 47})
    for (int64_t row = 0; row < rows; ++row)
      EXPECT_EQ(floats[row * cols + dead], 0);
}

TEST_F(GPTQTest, DampsUntilThereIsAFactor) {
  std::vector<float> values = makeNormal(8 * 2);
  WeightView weight = WeightView::rowMajor(getBytes(values), 8, 2);
  GPTQOptions options;
  options.dampPercent = 0.01;
  run(weight, makeScheme(4, -1, true), {1, 1.035f, 1.035f, 1}, options);
  EXPECT_NEAR(outcome.damp, 0.04, 1e-6);
  EXPECT_EQ(outcome.fallback, "");
  options.dampIncrement = 0;
  run(weight, makeScheme(4, -1, true), {1, 1.035f, 1.035f, 1}, options);
  EXPECT_EQ(outcome.fallback, "its Hessian is not positive definite, even with "
                              "0.01 of the mean added to the diagonal");
}

TEST_F(GPTQTest, FallsBackToRoundToNearest) {
  std::vector<float> values = makeNormal(8 * 2);
  WeightView weight = WeightView::rowMajor(getBytes(values), 8, 2);
  QuantizationScheme scheme = makeScheme(4, -1, true);
  for (std::vector<float> hessian : {std::vector<float>{1, 3, 3, 1},
                                     {1, NAN, NAN, 1},
                                     {INFINITY, 0, 0, 1},
                                     {-1, 0, 0, 1},
                                     {0, 0, 0, 0}}) {
    QuantizedWeight result = run(weight, scheme, hessian, GPTQOptions());
    EXPECT_NE(outcome.fallback, "");
    EXPECT_EQ(result.codes, round(weight, scheme).codes);
  }
}

TEST_F(GPTQTest, RefusesWhatRoundToNearestRefuses) {
  std::vector<float> values = makeNormal(70 * 40), hessian = makeHessian(40);
  QuantizationScheme scheme = makeScheme(4, 16, true);
  values[65 * 40 + 7] = INFINITY;
  values[66 * 40 + 8] = NAN;
  MethodInput input{
      WeightView::rowMajor(getBytes(values), 70, 40), scheme, 2, {}, hessian};
  auto getError = [&] {
    llvm::Expected<QuantizedWeight> result = quantize("gptq", input);
    return result ? "" : llvm::toString(result.takeError());
  };
  EXPECT_EQ(getError(), "weight at row 65, column 7 is infinite: only finite "
                        "weights can be quantized");
  values[65 * 40 + 7] = 1e30f;
  values[66 * 40 + 8] = 0;
  input.scheme.scaleType = ScaleType::F16;
  EXPECT_NE(getError().find("scale of row 65, group 0 is too large for f16"),
            std::string::npos)
      << getError();
  input.hessian = {};
  EXPECT_NE(getError().find("needs the Hessian"), std::string::npos);
}

TEST_F(GPTQTest, OptionsHaveRanges) {
  GPTQOptions options;
  EXPECT_FALSE(llvm::toString(options.verify()) != "");
  options.dampPercent = 1;
  EXPECT_EQ(llvm::toString(options.verify()),
            "damp-percent is 1: expected a part of the mean diagonal, from 0 "
            "to below 1");
  options = GPTQOptions();
  options.blockSize = 0;
  EXPECT_NE(llvm::toString(options.verify()), "");
}

} // namespace
