//===- ScaleMethodsTest.cpp - Tests of scales and limits of a stage -------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/ScaleMethods.h"
#include "RandomWeights.h"
#include "nibble/Quantizer/ScaleSearch.h"
#include <cmath>
#include <fstream>

using namespace nibble::quantizer;
using nibble::quantizer::test::getBytes;
using Floats = std::vector<float>;

namespace {

ActivationSummary summarize(const Floats &rows, int64_t cols,
                            const SummaryNeeds &needs, int64_t window = 1,
                            int64_t piece = 7) {
  ActivationCollector collector(cols, window, needs);
  llvm::ArrayRef<float> left = rows;
  while (!left.empty()) {
    size_t count = std::min<size_t>(left.size(), piece * cols);
    collector.observe(left.take_front(count));
    left = left.drop_front(count);
  }
  return collector.finish();
}

class ScaleMethodsTest : public test::RandomTest {
protected:
  /// Inputs in which few channels are large.
  Floats makeInputs(int64_t rows, int64_t cols) {
    Floats inputs = makeNormal(rows * cols);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (i % cols % 13 == 5)
        inputs[i] *= 25;
    return inputs;
  }
  static ScaledLayer makeLayer(const Floats &weight, int64_t cols,
                               const QuantizationScheme &scheme) {
    return {WeightView::rowMajor(getBytes(weight), weight.size() / cols, cols),
            scheme, lookupMethod("rtn")};
  }
  /// Relative squared error of the product with samples, computed plainly.
  static double getError(const Floats &weight, const Floats &back,
                         const Floats &inputs, const Floats &rounded,
                         int64_t cols) {
    double noise = 0, signal = 0;
    for (size_t t = 0; t < inputs.size(); t += cols)
      for (size_t row = 0; row < weight.size(); row += cols) {
        double before = 0, after = 0;
        for (int64_t i = 0; i < cols; ++i) {
          before += double(weight[row + i]) * inputs[t + i];
          after += double(back[row + i]) * rounded[t + i];
        }
        noise += (after - before) * (after - before);
        signal += before * before;
      }
    return noise / signal;
  }

  QuantizationScheme scheme;
};

TEST_F(ScaleMethodsTest, Summary) {
  Floats rows = {1, -2, 3, 4, -5, 6, 3, -4, 0, 0, 0, 2};
  ActivationSummary summary = summarize(rows, 4, {true, 1}, 2, 1);
  EXPECT_EQ(summary.rows, 3);
  // Two columns are a channel.
  EXPECT_EQ(summary.maxima, Floats({6, 4}));
  EXPECT_EQ(summary.meanAbsolute, Floats({14.f / 6, 16.f / 6}));
  EXPECT_FLOAT_EQ(summary.meanSquares[1], 40.f / 3);
  EXPECT_EQ(summary.hessian[0 * 4 + 3], 1 * 4 - 5 * -4);
  EXPECT_EQ(summary.hessian[3 * 4 + 0], summary.hessian[0 * 4 + 3]);
  // Samples have equal distances, and are one to two times as many as needed.
  EXPECT_EQ(summary.samples, Floats({1, -2, 3, 4, 0, 0, 0, 2}));
  ActivationSummary none = summarize({}, 4, {true, 1});
  EXPECT_EQ(none.rows, 0);
  EXPECT_EQ(none.maxima, Floats(4));
}

/// One token with massive activations does not outweigh all others.
TEST_F(ScaleMethodsTest, LongRowsAreMadeShorter) {
  Floats rows = makeNormal(64 * 8);
  for (int64_t i = 0; i < 8; ++i)
    rows[3 * 8 + i] *= 1000;
  ActivationSummary summary = summarize(rows, 8, {true, 64}, 1, 64);
  double now = 0, trace = 0;
  for (int64_t i = 0; i < 8; ++i) {
    now += double(summary.samples[3 * 8 + i]) * summary.samples[3 * 8 + i];
    trace += summary.hessian[i * 9];
  }
  EXPECT_LT(now, 100);
  EXPECT_GT(now, 8);
  EXPECT_LT(trace, 64 * 8 * 4);
  // Others are as they were.
  EXPECT_LE(std::fabs(summary.samples[5 * 8]), std::fabs(rows[5 * 8]));
}

TEST_F(ScaleMethodsTest, AWQLowersTheErrorOfAllLayersOfAStage) {
  constexpr int64_t cols = 40;
  scheme.bits = 3;
  scheme.group = 16; // The last group is ragged.
  Floats inputs = makeInputs(300, cols);
  Floats weights[] = {makeNormal(24 * cols), makeNormal(7 * cols)};
  std::vector<ScaledLayer> layers = {makeLayer(weights[0], cols, scheme),
                                     makeLayer(weights[1], cols, scheme)};
  auto method = createAWQ({});
  ActivationSummary summary = summarize(inputs, cols, method->getNeeds());
  auto found = method->find(layers, summary);
  ASSERT_TRUE(bool(found)) << toString(found.takeError());
  ASSERT_EQ(found->scales.size(), size_t(cols));
  EXPECT_LT(found->loss, 0.6 * found->unscaledLoss);
  EXPECT_GT(found->scales[5], 1.2 * found->scales[6]);

  // The loss is that of the product itself, on the rows as they count.
  inputs = summary.samples;
  ASSERT_EQ(inputs.size(), size_t(300 * cols));
  Floats all = weights[0], back;
  all.insert(all.end(), weights[1].begin(), weights[1].end());
  for (const ScaledLayer &layer : layers) {
    auto values =
        quantizeScaled(*layer.method, {layer.weight, scheme}, found->scales);
    ASSERT_TRUE(bool(values));
    back.insert(back.end(), values->begin(), values->end());
  }
  EXPECT_NEAR(getError(all, back, inputs, inputs, cols) / found->loss, 1, 1e-4);

  // Limits are for scaled weights, and lower the error once more.
  ASSERT_EQ(found->limits.size(), 2u);
  Floats clamped = scaleColumns(layers[0].weight, found->scales);
  Floats scaledInputs = inputs;
  for (size_t i = 0; i < inputs.size(); ++i)
    scaledInputs[i] /= found->scales[i % cols];
  Floats scaled = clamped;
  clampGroups(clamped, cols, scheme, found->limits[0]);
  EXPECT_NE(clamped, scaled);
  auto round = [&](const Floats &values) {
    auto quantized = quantize(
        "rtn", {WeightView::rowMajor(getBytes(values), 24, cols), scheme});
    EXPECT_TRUE(bool(quantized));
    Floats result(values.size());
    dequantize(*quantized, result);
    return getError(scaled, result, scaledInputs, scaledInputs, cols);
  };
  EXPECT_LT(round(clamped), round(scaled));
}

/// The same layer in AutoAWQ's golden file: its search on the layer's own
/// output chooses a grid point that is at most one step away.
TEST_F(ScaleMethodsTest, ScalesAreAutoAWQs) {
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
  unsigned bits, hasZeros, duo, cases = 0;
  while (file >> bits >> group >> hasZeros >> duo) {
    Floats wanted = read(cols), limits = read(rows * cols / group);
    ASSERT_TRUE(bool(file));
    if (!duo)
      continue;
    ++cases;
    scheme.bits = bits;
    scheme.group = group;
    scheme.symmetric = !hasZeros;
    scheme.scaleType = ScaleType::F32;
    std::vector<ScaledLayer> layers = {makeLayer(weights[0], cols, scheme),
                                       makeLayer(weights[1], cols, scheme)};
    auto method = createAWQ({});
    ActivationSummary summary = summarize(inputs, cols, method->getNeeds());
    auto found = method->find(layers, summary);
    ASSERT_TRUE(bool(found)) << toString(found.takeError());
    std::vector<WeightView> views = {layers[0].weight, layers[1].weight};
    Floats magnitudes = getRelativeMagnitudes(views, scheme);
    double nearest = 1e9;
    for (int step = -1; step <= 1; ++step) {
      Floats scales = getAWQScales(summary.meanAbsolute, magnitudes,
                                   found->alpha + step / 20.f);
      double distance = 0;
      for (int64_t i = 0; i < cols; ++i)
        distance =
            std::max(distance, std::fabs(double(scales[i]) / wanted[i] - 1));
      nearest = std::min(nearest, distance);
    }
    EXPECT_LT(nearest, 1e-3) << bits << " bits, alpha " << found->alpha;
  }
  EXPECT_GE(cases, 2u);
}

TEST_F(ScaleMethodsTest, DiagonalInsteadOfHessian) {
  constexpr int64_t cols = 32;
  scheme.group = -1;
  Floats inputs = makeInputs(200, cols), weight = makeNormal(16 * cols);
  std::vector<ScaledLayer> layers = {makeLayer(weight, cols, scheme)};
  auto method = createAWQ({});
  ActivationSummary summary = summarize(inputs, cols, {});
  auto found = method->find(layers, summary);
  ASSERT_TRUE(bool(found)) << toString(found.takeError());
  EXPECT_LT(found->loss, 0.9 * found->unscaledLoss);
  EXPECT_TRUE(found->limits.empty());
}

TEST_F(ScaleMethodsTest, SmoothQuantForActivationsOf8Bits) {
  constexpr int64_t cols = 39;
  scheme.bits = 8;
  scheme.group = -1;
  scheme.dynamicActivations = true;
  Floats inputs = makeInputs(120, cols), weight = makeNormal(16 * cols);
  std::vector<ScaledLayer> layers = {makeLayer(weight, cols, scheme)};
  auto find = [&](llvm::StringRef alpha) {
    auto method =
        createSmoothQuant(llvm::cantFail(SmoothQuantOptions::parse(alpha)));
    return llvm::cantFail(
        method->find(layers, summarize(inputs, cols, method->getNeeds())));
  };
  StageScales half = find("0.5"), best = find("auto");
  Floats maxima = getColumnMaxima({layers[0].weight});
  for (int64_t i = 0; i < cols; ++i) {
    float largest = 0;
    for (size_t j = i; j < inputs.size(); j += cols)
      largest = std::max(largest, std::fabs(inputs[j]));
    EXPECT_FLOAT_EQ(half.scales[i], std::sqrt(largest / maxima[i]));
  }
  EXPECT_LT(best.loss, 0.6 * best.unscaledLoss);
  EXPECT_GT(best.alpha, 0.1);
  // Nothing is to be taken from activations that are not rounded.
  layers[0].scheme.dynamicActivations = false;
  StageScales weightsOnly = find("auto");
  EXPECT_LE(weightsOnly.alpha, best.alpha);
}

TEST_F(ScaleMethodsTest, NothingIsFoundWithoutRows) {
  Floats weight = makeNormal(8 * 4);
  std::vector<ScaledLayer> layers = {makeLayer(weight, 4, scheme)};
  for (auto &method : {createAWQ({}), createSmoothQuant({})}) {
    auto found = method->find(layers, summarize({}, 4, method->getNeeds()));
    ASSERT_TRUE(bool(found));
    EXPECT_TRUE(found->scales.empty() && found->limits.empty());
  }
}

TEST_F(ScaleMethodsTest, OptionsOutOfRange) {
  AWQOptions awq;
  awq.points = 0;
  EXPECT_EQ(toString(awq.verify()),
            "awq-points is 0: expected 1 to 1000 exponents");
  for (llvm::StringRef text : {"1.5", "-0.1", "nan", "much", ""})
    EXPECT_EQ(toString(SmoothQuantOptions::parse(text).takeError()),
              ("smoothquant-alpha is '" + text +
               "': expected a number from 0 to 1, or auto")
                  .str());
  EXPECT_EQ(llvm::cantFail(SmoothQuantOptions::parse("auto")).alpha,
            std::nullopt);
}
} // namespace
