//===- AutoRoundTest.cpp - Roundings and ranges learned by gradients -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/AutoRound.h"
#include "RandomWeights.h"
#include "nibble/Quantizer/RTN.h"
#include <cmath>

using namespace nibble::quantizer;

namespace {

class AutoRoundTest : public test::RandomTest {
protected:
  static constexpr int64_t rows = 33, cols = 70;

  /// A Hessian with correlated columns of different size.
  static std::vector<double> makeHessian(double correlation) {
    std::vector<double> hessian(cols * cols);
    for (int64_t i = 0; i < cols; ++i)
      for (int64_t j = 0; j < cols; ++j)
        hessian[i * cols + j] = std::exp(std::sin(1.7 * i)) *
                                std::exp(std::sin(1.7 * j)) *
                                std::pow(correlation, std::abs(i - j));
    return hessian;
  }

  /// tr(d H d^T) for d = q - w; `gradient` gets its derivative by q.
  double getLoss(llvm::ArrayRef<float> q, llvm::ArrayRef<float> w,
                 llvm::ArrayRef<double> hessian,
                 std::vector<float> *gradient = nullptr) {
    double loss = 0;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < cols; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < cols; ++j)
          sum += hessian[i * cols + j] *
                 (double(q[r * cols + j]) - w[r * cols + j]);
        loss += sum * (double(q[r * cols + i]) - w[r * cols + i]);
        if (gradient)
          (*gradient)[r * cols + i] = static_cast<float>(2 * sum);
      }
    return loss;
  }

  /// Learns `weight` and returns the loss of the best step.
  double learn(RoundingLearner &learner, llvm::ArrayRef<float> weight,
               llvm::ArrayRef<double> hessian, unsigned steps) {
    std::vector<float> quantized(rows * cols), gradient(rows * cols);
    double best = std::numeric_limits<double>::infinity();
    for (unsigned i = 0; i <= steps; ++i) {
      learner.dequantize(quantized);
      double loss = getLoss(quantized, weight, hessian, &gradient);
      if (loss < best) {
        best = loss;
        learner.keep();
      }
      learner.step(gradient);
    }
    learner.restore();
    return best;
  }

  RoundingLearner create(const std::vector<float> &weight,
                         const QuantizationScheme &scheme,
                         const AutoRoundOptions &options,
                         unsigned threads = 0) {
    WeightView view = WeightView::rowMajor(test::getBytes(weight), rows, cols);
    return llvm::cantFail(
        RoundingLearner::create(view, scheme, options, threads));
  }
};

QuantizationScheme makeScheme(unsigned bits, bool symmetric) {
  QuantizationScheme scheme;
  scheme.bits = bits;
  scheme.symmetric = symmetric;
  scheme.group = 32; // 70 columns: the last group is shorter
  return scheme;
}

TEST_F(AutoRoundTest, WithoutStepsIsRoundingToNearest) {
  std::vector<float> weight = makeNormal(rows * cols);
  std::fill(weight.begin(), weight.begin() + 32, 0.0f);
  for (bool symmetric : {true, false})
    for (ScaleRule rule : {ScaleRule::AbsMax, ScaleRule::SignedMax}) {
      QuantizationScheme scheme = makeScheme(4, symmetric);
      if (symmetric)
        scheme.scaleRule = rule;
      QuantizedWeight nearest(scheme, rows, cols), learned(scheme, rows, cols);
      WeightView view =
          WeightView::rowMajor(test::getBytes(weight), rows, cols);
      ASSERT_EQ(llvm::toString(quantizeRTN(view, scheme, nearest.codes,
                                           nearest.scales, nearest.zeros)),
                "");
      RoundingLearner learner = create(weight, scheme, {});
      ASSERT_EQ(llvm::toString(learner.quantize(learned)), "");
      EXPECT_EQ(learned.codes, nearest.codes);
      EXPECT_EQ(learned.scales, nearest.scales);
      EXPECT_EQ(learned.zeros, nearest.zeros);
    }
}

TEST_F(AutoRoundTest, LearnsLessErrorThanNearest) {
  std::vector<float> weight = makeNormal(rows * cols);
  std::vector<double> hessian = makeHessian(0.9);
  double ratios = 0;
  for (bool symmetric : {true, false})
    for (unsigned bits : {2u, 3u, 4u}) {
      QuantizationScheme scheme = makeScheme(bits, symmetric);
      RoundingLearner learner = create(weight, scheme, {});
      std::vector<float> values(rows * cols), again(rows * cols);
      learner.dequantize(values);
      double nearest = getLoss(values, weight, hessian);
      double best = learn(learner, weight, hessian, 200);
      EXPECT_LT(best, nearest) << bits << " bits, " << symmetric;
      ratios += best / nearest;

      // The codes are those of the best step.
      QuantizedWeight result(scheme, rows, cols);
      ASSERT_EQ(llvm::toString(learner.quantize(result)), "");
      dequantize(result, again);
      EXPECT_DOUBLE_EQ(getLoss(again, weight, hessian), best);
    }
  EXPECT_LT(ratios / 6, 0.85);
}

/// Codes that no rounding of the weight gives, as those of GPTQ.
TEST_F(AutoRoundTest, BeginsWithTheCodesOfAStart) {
  std::vector<float> weight = makeNormal(rows * cols);
  std::vector<double> hessian = makeHessian(0.9);
  for (bool symmetric : {true, false})
    for (ScaleRule rule :
         {ScaleRule::AbsMax, ScaleRule::SignedMax, ScaleRule::FullRange}) {
      QuantizationScheme scheme = makeScheme(4, symmetric);
      scheme.scaleRule = symmetric ? rule : ScaleRule::AbsMax;
      QuantizedWeight start(scheme, rows, cols), learned(scheme, rows, cols);
      WeightView view =
          WeightView::rowMajor(test::getBytes(weight), rows, cols);
      ASSERT_EQ(llvm::toString(quantizeRTN(view, scheme, start.codes,
                                           start.scales, start.zeros)),
                "");
      for (size_t i = 0; i < start.codes.size(); i += 3)
        start.codes[i] = std::min(start.codes[i] + int(i % 4), 15);
      for (float &scale : start.scales)
        scale = roundToScaleType(scale * 0.9f, scheme.scaleType);
      RoundingLearner learner =
          llvm::cantFail(RoundingLearner::createFrom(view, start, {}));
      ASSERT_EQ(llvm::toString(learner.quantize(learned)), "");
      EXPECT_EQ(learned.codes, start.codes);
      EXPECT_EQ(learned.scales, start.scales);
      EXPECT_EQ(learned.zeros, start.zeros);
      std::vector<float> values(rows * cols), expected(rows * cols);
      learner.dequantize(values);
      dequantize(start, expected);
      EXPECT_EQ(values, expected);
      EXPECT_LT(learn(learner, weight, hessian, 200),
                0.9 * getLoss(expected, weight, hessian));
    }
}

TEST_F(AutoRoundTest, RangesShrinkWhereOutliersDoNotMatter) {
  std::vector<float> weight = makeNormal(rows * cols);
  std::vector<double> hessian(cols * cols, 0.0);
  for (int64_t i = 0; i < cols; ++i)
    hessian[i * cols + i] = i % 32 ? 1.0 : 1e-3;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < cols; i += 32)
      weight[r * cols + i] = i % 64 ? 12.0f : -12.0f;
  for (bool symmetric : {true, false}) {
    AutoRoundOptions fixed;
    fixed.learnRange = false;
    RoundingLearner with = create(weight, makeScheme(4, symmetric), {});
    RoundingLearner without = create(weight, makeScheme(4, symmetric), fixed);
    // All steps together can halve a range, and with it errors of roundings.
    double least = learn(with, weight, hessian, 200);
    EXPECT_LT(least, 0.75 * learn(without, weight, hessian, 200)) << symmetric;
  }
}

TEST_F(AutoRoundTest, IsTheSameForAnyNumberOfThreads) {
  std::vector<float> weight = makeNormal(rows * cols);
  std::vector<double> hessian = makeHessian(0.5);
  QuantizationScheme scheme = makeScheme(3, false);
  QuantizedWeight one(scheme, rows, cols), many(scheme, rows, cols);
  for (auto [threads, result] : {std::pair(1u, &one), std::pair(3u, &many)}) {
    RoundingLearner learner = create(weight, scheme, {}, threads);
    learn(learner, weight, hessian, 40);
    ASSERT_EQ(llvm::toString(learner.quantize(*result)), "");
  }
  EXPECT_EQ(one.codes, many.codes);
  EXPECT_EQ(one.scales, many.scales);
  EXPECT_EQ(one.zeros, many.zeros);
}

TEST_F(AutoRoundTest, RefusesWhatItCannotLearn) {
  std::vector<float> weight = makeNormal(rows * cols);
  WeightView view = WeightView::rowMajor(test::getBytes(weight), rows, cols);
  auto getError = [&](const QuantizationScheme &scheme,
                      const AutoRoundOptions &options) {
    return llvm::toString(
        RoundingLearner::create(view, scheme, options).takeError());
  };
  QuantizationScheme searched = makeScheme(4, true);
  searched.scaleRule = ScaleRule::MSE;
  EXPECT_EQ(getError(searched, {}), "autoround learns ranges itself: the scale "
                                    "rule mse does not go with it");
  AutoRoundOptions fast;
  fast.rate = 2;
  EXPECT_EQ(getError(makeScheme(4, true), fast),
            "expected a learning rate between 0 and 1, got 2.000000");
  weight[rows * cols - 1] = std::nanf("");
  EXPECT_NE(getError(makeScheme(4, true), {}), "");
}

} // namespace
