//===- ScaleSearchTest.cpp - Scales of input channels, and clipping -------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/ScaleSearch.h"
#include "RandomWeights.h"
#include "nibble/Quantizer/ClipSearch.h"
#include <cmath>
#include <fstream>
#include <limits>

using namespace nibble::quantizer;
using nibble::quantizer::test::getBytes;
using Floats = std::vector<float>;

namespace {

class ScaleSearchTest : public test::RandomTest {
protected:
  /// Sum of squares of (back - weight) x over all rows of `inputs`.
  static double getOutputError(const Floats &weight, const Floats &back,
                               const Floats &inputs, int64_t cols) {
    double sum = 0;
    for (size_t t = 0; t < inputs.size(); t += cols)
      for (size_t row = 0; row < weight.size(); row += cols) {
        double error = 0;
        for (int64_t i = 0; i < cols; ++i)
          error += (double(back[row + i]) - weight[row + i]) * inputs[t + i];
        sum += error * error;
      }
    return sum;
  }

  static Floats getMeanMagnitudes(const Floats &inputs, int64_t cols) {
    Floats means(cols);
    for (size_t i = 0; i < inputs.size(); ++i)
      means[i % cols] += std::fabs(inputs[i]) / (inputs.size() / cols);
    return means;
  }

  static QuantizationScheme makeScheme(unsigned bits, int64_t group,
                                       bool symmetric) {
    QuantizationScheme scheme;
    scheme.bits = bits;
    scheme.group = group;
    scheme.symmetric = symmetric;
    scheme.scaleType = ScaleType::F32;
    return scheme;
  }

  const Method &rtn = *lookupMethod("rtn");
};

// Inputs/awq.txt: see scripts/golden_awq.py.
TEST_F(ScaleSearchTest, AsAutoAWQ) {
  std::ifstream file(NIBBLE_QUANTIZER_INPUTS "/awq.txt");
  int64_t rows = 0, cols = 0, tokens = 0, group = 0;
  file >> rows >> cols >> tokens;
  auto read = [&](size_t count) {
    Floats values(count);
    for (float &value : values)
      file >> value;
    return values;
  };
  Floats weights[] = {read(rows * cols), read(rows * cols)};
  Floats inputs = read(tokens * cols);
  WeightView views[] = {WeightView::rowMajor(getBytes(weights[0]), rows, cols),
                        WeightView::rowMajor(getBytes(weights[1]), rows, cols)};
  Floats means = getMeanMagnitudes(inputs, cols);
  unsigned bits, hasZeros, duo, cases = 0;
  while (file >> bits >> group >> hasZeros >> duo) {
    ++cases;
    QuantizationScheme scheme = makeScheme(bits, group, !hasZeros);
    Floats wantedScales = read(cols);
    Floats wantedLimits = read(rows * cols / group);
    ASSERT_TRUE(bool(file));

    auto getLoss = [&](llvm::ArrayRef<float> scales) -> llvm::Expected<double> {
      double sum = 0;
      for (int i = 0; i < 2; ++i) {
        llvm::Expected<Floats> back =
            quantizeScaled(rtn, {views[i], scheme, 1}, scales);
        if (!back)
          return back.takeError();
        sum += getOutputError(weights[i], *back, inputs, cols);
      }
      return sum;
    };
    Floats magnitudes;
    if (duo)
      magnitudes = getRelativeMagnitudes(views, scheme);
    llvm::Expected<ScaleChoice> choice =
        searchAWQScales(means, magnitudes, getLoss);
    ASSERT_TRUE(bool(choice)) << llvm::toString(choice.takeError());
    ASSERT_EQ(choice->scales.size(), size_t(cols));
    EXPECT_LT(choice->loss, choice->unscaledLoss);
    for (int64_t i = 0; i < cols; ++i)
      EXPECT_NEAR(choice->scales[i], wantedScales[i], 1e-3 * wantedScales[i])
          << bits << " bits, column " << i;

    llvm::Expected<Floats> limits =
        searchClipping(rtn, {views[0], scheme, 1}, inputs);
    ASSERT_TRUE(bool(limits)) << llvm::toString(limits.takeError());
    ASSERT_EQ(limits->size(), wantedLimits.size());
    for (size_t i = 0; i < limits->size(); ++i)
      EXPECT_NEAR((*limits)[i], wantedLimits[i], 1e-5) << bits << " bits " << i;
  }
  EXPECT_EQ(cases, 4u);
}

TEST_F(ScaleSearchTest, MagnitudesAndMaxima) {
  Floats a = {1, -2, 4, 4}, b = {0, 0, -8, 2};
  WeightView views[] = {WeightView::rowMajor(getBytes(a), 1, 4),
                        WeightView::transposed(getBytes(b), 1, 4)};
  EXPECT_EQ(getRelativeMagnitudes(views, makeScheme(4, 2, true)),
            (Floats{0.25, 0.5, 1, 0.625}));
  EXPECT_EQ(getColumnMaxima(views), (Floats{1, 2, 8, 4}));
}

TEST_F(ScaleSearchTest, ScalesOfOneAlpha) {
  Floats x = {4, 1, 0, 16}, w = {1, 0.25, 1, 4};
  EXPECT_EQ(getSmoothQuantScales(x, w, 0.5f), (Floats{2, 2, 1, 2}));
  // The unused column counts as the least one; largest times least is 1.
  EXPECT_EQ(getAWQScales(x, {}, 0.5f), (Floats{1, 0.5, 0.5, 2}));
  EXPECT_EQ(getAWQScales({0, 0}, {}, 0.5f), (Floats{1, 1}));
  for (float scale : getAWQScales(x, w, 0.35f))
    EXPECT_TRUE(scale > 0.01f && scale < 100);
}

TEST_F(ScaleSearchTest, NoScalesWhereNoneHelp) {
  auto isOne = [](llvm::ArrayRef<float> scales) -> llvm::Expected<double> {
    double sum = 1;
    for (float scale : scales)
      sum += std::fabs(scale - 1);
    return sum;
  };
  llvm::Expected<ScaleChoice> choice =
      searchSmoothQuantScales({1, 8}, {1, 1}, isOne);
  ASSERT_TRUE(bool(choice));
  EXPECT_TRUE(choice->scales.empty());
  EXPECT_EQ(choice->loss, 1);
}

TEST_F(ScaleSearchTest, SmoothQuantFindsTheLeastLoss) {
  float wanted = 0.7f;
  Floats x = {10, 1, 0.1f}, w = {1, 2, 3};
  Floats best = getSmoothQuantScales(x, w, wanted);
  auto getDistance =
      [&](llvm::ArrayRef<float> scales) -> llvm::Expected<double> {
    double sum = 0;
    for (int i = 0; i < 3; ++i)
      sum += std::fabs(std::log(scales[i] / best[i]));
    return sum;
  };
  llvm::Expected<ScaleChoice> choice =
      searchSmoothQuantScales(x, w, getDistance);
  ASSERT_TRUE(bool(choice));
  EXPECT_FLOAT_EQ(choice->alpha, wanted);
  EXPECT_EQ(choice->scales, best);
}

TEST_F(ScaleSearchTest, ClippingLowersTheOutputError) {
  int64_t rows = 37, cols = 150;
  Floats weight = makeNormal(rows * cols), inputs = makeNormal(600 * cols);
  QuantizationScheme scheme = makeScheme(3, 64, true);
  MethodInput input = {WeightView::rowMajor(getBytes(weight), rows, cols),
                       scheme, 1};
  auto getError = [&](Floats values) {
    MethodInput other = input;
    other.weight = WeightView::rowMajor(getBytes(values), rows, cols);
    llvm::Expected<QuantizedWeight> result = quantize(rtn, other);
    Floats back(values.size());
    dequantize(*result, back);
    return getOutputError(weight, back, inputs, cols);
  };
  llvm::Expected<Floats> limits = searchClipping(rtn, input, inputs);
  ASSERT_TRUE(bool(limits));
  input.threads = 3;
  llvm::Expected<Floats> again = searchClipping(rtn, input, inputs);
  EXPECT_EQ(*limits, *again);
  Floats clamped = weight;
  clampGroups(clamped, cols, scheme, *limits);
  EXPECT_LT(getError(clamped), 0.9 * getError(weight));
}

TEST_F(ScaleSearchTest, RefusesBadInput) {
  Floats weight = makeNormal(16), inputs = makeNormal(9);
  MethodInput input = {WeightView::rowMajor(getBytes(weight), 2, 8),
                       makeScheme(4, 8, true), 1};
  EXPECT_EQ(llvm::toString(searchClipping(rtn, input, inputs).takeError()),
            "9 activations for a weight of 8 columns: expected whole rows of "
            "8, at least one");
  auto getInfinite = [](llvm::ArrayRef<float>) -> llvm::Expected<double> {
    return std::numeric_limits<double>::infinity();
  };
  llvm::Expected<ScaleChoice> choice = searchAWQScales({1, 2}, {}, getInfinite);
  EXPECT_EQ(llvm::toString(choice.takeError()),
            "the error without scales is INF: weights or activations are not "
            "finite, or their products overflow");
}

} // namespace
