//===- ScaleMethods.cpp - Scales and limits of a stage's weights ----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/ScaleMethods.h"
#include "nibble/Quantizer/Activations.h"
#include "nibble/Quantizer/DenseMath.h"
#include "nibble/Quantizer/ScaleSearch.h"
#include "nibble/Support/Parallel.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace nibble;
using namespace nibble::quantizer;
using llvm::ArrayRef;

ScaleMethod::~ScaleMethod() = default;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

ActivationCollector::ActivationCollector(int64_t columns, int64_t window,
                                         const SummaryNeeds &needs,
                                         unsigned threads)
    : needs(needs), threads(threads), sums(columns / window), squares(columns) {
  summary.columns = columns;
  summary.window = window;
  summary.maxima.resize(columns / window);
  if (needs.hessian)
    summary.hessian.resize(columns * columns);
}

/// Keeps between `needs.samples` and twice as many rows, whose distance is the
/// same.
void ActivationCollector::sample(const float *row) {
  int64_t columns = summary.columns;
  std::vector<float> &samples = summary.samples;
  if (needs.samples == 0 || summary.rows % stride != 0)
    return;
  int64_t count = samples.size() / columns;
  if (count == 2 * needs.samples) {
    for (int64_t i = 1; i < needs.samples; ++i)
      std::copy_n(samples.begin() + 2 * i * columns, columns,
                  samples.begin() + i * columns);
    samples.resize(needs.samples * columns);
    stride *= 2;
  }
  samples.insert(samples.end(), row, row + columns);
}

static double getSquare(ArrayRef<float> row) {
  double square = 0;
  for (float x : row)
    square += static_cast<double>(x) * x;
  return square;
}

/// Four times the median of the squared lengths.
void ActivationCollector::findLongest(ArrayRef<float> values) {
  std::vector<double> squares;
  for (; !values.empty(); values = values.drop_front(summary.columns))
    if (double square = getSquare(values.take_front(summary.columns)))
      squares.push_back(square);
  if (squares.empty())
    return;
  auto middle = squares.begin() + squares.size() / 2;
  std::nth_element(squares.begin(), middle, squares.end());
  longest = 4 * *middle;
}

void ActivationCollector::observe(ArrayRef<float> values) {
  int64_t columns = summary.columns, window = summary.window;
  int64_t rows = values.size() / columns;
  if (longest == 0)
    findLongest(values);
  std::vector<float> shortened(values);
  for (int64_t row = 0; row < rows; ++row) {
    const float *x = values.data() + row * columns;
    llvm::MutableArrayRef<float> part(shortened.data() + row * columns,
                                      columns);
    double square = getSquare(part);
    if (square > longest && longest > 0)
      for (float &value : part)
        value *= static_cast<float>(std::sqrt(longest / square));
    sample(part.data());
    ++summary.rows;
    for (int64_t i = 0; i < columns; ++i) {
      float magnitude = std::fabs(x[i]);
      int64_t channel = window == 1 ? i : i / window;
      sums[channel] += magnitude;
      squares[i] += static_cast<double>(x[i]) * x[i];
      summary.maxima[channel] = std::max(summary.maxima[channel], magnitude);
    }
  }
  if (needs.hessian)
    addOuterProducts({shortened.data(), rows, columns, columns},
                     summary.hessian, threads);
}

ActivationSummary ActivationCollector::finish() {
  double rows = std::max<int64_t>(summary.rows, 1);
  for (double sum : sums)
    summary.meanAbsolute.push_back(
        static_cast<float>(sum / (rows * summary.window)));
  for (double sum : squares)
    summary.meanSquares.push_back(static_cast<float>(sum / rows));
  if (needs.hessian)
    mirrorUpper(summary.hessian, summary.columns, threads);
  return std::move(summary);
}

//===----------------------------------------------------------------------===//
// What both methods do
//===----------------------------------------------------------------------===//

/// By column what is given by channel.
static std::vector<float> toColumns(ArrayRef<float> channels, int64_t window) {
  std::vector<float> columns;
  for (float value : channels)
    columns.insert(columns.end(), window, value);
  return columns;
}

static std::vector<WeightView> getWeights(ArrayRef<ScaledLayer> layers) {
  std::vector<WeightView> weights;
  for (const ScaledLayer &layer : layers)
    weights.push_back(layer.weight);
  return weights;
}

static std::vector<float> copyWeight(const WeightView &weight) {
  std::vector<float> values(weight.rows * weight.cols);
  copyTile(weight, 0, weight.rows, 0, weight.cols, values.data());
  return values;
}

/// Sum of the products of two matrices' elements, in double, row by row.
static double sumProducts(ArrayRef<float> a, ArrayRef<float> b, int64_t cols,
                          unsigned threads) {
  int64_t rows = a.size() / cols;
  std::vector<double> sums(rows);
  parallelFor(rows, 16, threads, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      for (int64_t i = row * cols; i < (row + 1) * cols; ++i)
        sums[row] += static_cast<double>(a[i]) * b[i];
  });
  double total = 0;
  for (double sum : sums)
    total += sum;
  return total;
}

/// a b^T, [a.size() / cols, b.size() / cols].
static std::vector<float> multiplyRows(ArrayRef<float> a, ArrayRef<float> b,
                                       int64_t cols, unsigned threads) {
  int64_t rows = a.size() / cols, count = b.size() / cols;
  // The second factor must have contiguous columns.
  std::vector<float> turned(b.size()), product(rows * count);
  parallelFor(count, 16, threads, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i)
      for (int64_t j = 0; j < cols; ++j)
        turned[j * count + i] = b[i * cols + j];
  });
  addProduct({a.data(), rows, cols, cols}, {turned.data(), cols, count, count},
             {product.data(), rows, count, count}, /*upperOnly=*/false,
             threads);
  return product;
}

//===----------------------------------------------------------------------===//
// AWQ
//===----------------------------------------------------------------------===//

llvm::Error AWQOptions::verify() const {
  if (points < 1 || points > 1000)
    return llvm::createStringError(llvm::formatv(
        "awq-points is {0}: expected 1 to 1000 exponents", points));
  return llvm::Error::success();
}

namespace {
/// Errors of weights as errors of outputs.
class WeightError {
public:
  WeightError(ArrayRef<ScaledLayer> layers, const ActivationSummary &summary,
              unsigned threads)
      : layers(layers), summary(summary), threads(threads) {
    for (const ScaledLayer &layer : layers) {
      weights.push_back(copyWeight(layer.weight));
      signal += weigh(weights.back());
    }
  }

  llvm::Expected<double> get(ArrayRef<float> scales) const {
    std::vector<float> columns = toColumns(scales, summary.window);
    double noise = 0;
    for (auto [layer, weight] : llvm::zip_equal(layers, weights)) {
      MethodInput input = {layer.weight, layer.scheme, threads};
      input.importance = summary.meanSquares;
      auto values = quantizeScaled(*layer.method, input, columns);
      if (!values)
        return values.takeError();
      for (auto [value, before] : llvm::zip_equal(*values, weight))
        value -= before;
      noise += weigh(*values);
    }
    return signal > 0 ? noise / signal : noise;
  }

private:
  /// tr(D H D^T), or with the diagonal of H.
  double weigh(ArrayRef<float> values) const {
    int64_t cols = summary.columns;
    std::vector<float> products(values.size());
    if (summary.hessian.empty()) {
      for (size_t i = 0; i < values.size(); ++i)
        products[i] = values[i] * summary.meanSquares[i % cols];
    } else {
      int64_t rows = values.size() / cols;
      addProduct({values.data(), rows, cols, cols},
                 {summary.hessian.data(), cols, cols, cols},
                 {products.data(), rows, cols, cols}, /*upperOnly=*/false,
                 threads);
    }
    return sumProducts(values, products, cols, threads);
  }

  ArrayRef<ScaledLayer> layers;
  const ActivationSummary &summary;
  unsigned threads;
  std::vector<std::vector<float>> weights;
  double signal = 0;
};

class AWQ : public ScaleMethod {
public:
  explicit AWQ(const AWQOptions &options) : options(options) {}

  SummaryNeeds getNeeds() const override {
    return {true, options.clip ? options.clipping.maxSamples : 0};
  }
  llvm::Expected<StageScales> find(ArrayRef<ScaledLayer> layers,
                                   const ActivationSummary &summary,
                                   unsigned threads) const override;

private:
  llvm::Expected<std::vector<std::vector<float>>>
  findLimits(ArrayRef<ScaledLayer> layers, const ActivationSummary &summary,
             ArrayRef<float> scales, unsigned threads) const;

  AWQOptions options;
};
} // namespace

llvm::Expected<StageScales> AWQ::find(ArrayRef<ScaledLayer> layers,
                                      const ActivationSummary &summary,
                                      unsigned threads) const {
  StageScales result;
  if (summary.rows == 0)
    return result;
  std::vector<float> magnitudes =
      getRelativeMagnitudes(getWeights(layers), layers.front().scheme, threads);
  std::vector<float> channels(summary.meanAbsolute.size());
  for (auto [i, value] : llvm::enumerate(magnitudes))
    channels[i / summary.window] += value / summary.window;
  WeightError error(layers, summary, threads);
  auto choice = searchAWQScales(
      summary.meanAbsolute, channels,
      [&](ArrayRef<float> scales) { return error.get(scales); },
      options.points);
  if (!choice)
    return choice.takeError();
  result.scales = std::move(choice->scales);
  result.alpha = choice->alpha;
  result.loss = choice->loss;
  result.unscaledLoss = choice->unscaledLoss;
  if (!options.clip || summary.samples.empty())
    return result;
  auto limits = findLimits(layers, summary, result.scales, threads);
  if (!limits)
    return limits.takeError();
  result.limits = std::move(*limits);
  return result;
}

llvm::Expected<std::vector<std::vector<float>>>
AWQ::findLimits(ArrayRef<ScaledLayer> layers, const ActivationSummary &summary,
                ArrayRef<float> scales, unsigned threads) const {
  int64_t cols = summary.columns;
  std::vector<float> columns = toColumns(scales, summary.window);
  if (columns.empty())
    columns.assign(cols, 1);
  std::vector<float> samples = summary.samples;
  for (auto [i, value] : llvm::enumerate(samples))
    value /= columns[i % cols];
  std::vector<std::vector<float>> limits(layers.size());
  for (auto [layer, found] : llvm::zip_equal(layers, limits)) {
    if (!layer.mayClip)
      continue;
    std::vector<float> scaled = scaleColumns(layer.weight, columns, threads);
    MethodInput input = {
        WeightView::rowMajor(reinterpret_cast<const char *>(scaled.data()),
                             layer.weight.rows, cols),
        layer.scheme, threads};
    std::vector<float> importance = summary.meanSquares;
    for (auto [value, scale] : llvm::zip_equal(importance, columns))
      value /= scale * scale;
    input.importance = importance;
    auto searched =
        searchClipping(*layer.method, input, samples, options.clipping);
    if (!searched)
      return searched.takeError();
    found = std::move(*searched);
  }
  return limits;
}

std::unique_ptr<ScaleMethod> quantizer::createAWQ(const AWQOptions &options) {
  return std::make_unique<AWQ>(options);
}

//===----------------------------------------------------------------------===//
// SmoothQuant
//===----------------------------------------------------------------------===//

llvm::Expected<SmoothQuantOptions>
SmoothQuantOptions::parse(llvm::StringRef alpha) {
  SmoothQuantOptions options;
  double value;
  if (alpha == "auto") {
    options.alpha.reset();
    return options;
  }
  if (alpha.getAsDouble(value) || !(value >= 0 && value <= 1))
    return llvm::createStringError("smoothquant-alpha is '" + alpha +
                                   "': expected a number from 0 to 1, or auto");
  options.alpha = static_cast<float>(value);
  return options;
}

namespace {
/// Errors of weights and activations as errors of outputs, on samples.
class ProductError {
public:
  ProductError(ArrayRef<ScaledLayer> layers, const ActivationSummary &summary,
               unsigned threads)
      : layers(layers), summary(summary), threads(threads) {
    for (const ScaledLayer &layer : layers) {
      outputs.push_back(multiplyRows(summary.samples, copyWeight(layer.weight),
                                     summary.columns, threads));
      signal += sumProducts(outputs.back(), outputs.back(), layer.weight.rows,
                            threads);
    }
  }

  llvm::Expected<double> get(ArrayRef<float> scales) const {
    std::vector<float> columns = toColumns(scales, summary.window);
    double noise = 0;
    std::vector<float> rounded;
    for (auto [layer, output] : llvm::zip_equal(layers, outputs)) {
      MethodInput input = {layer.weight, layer.scheme, threads};
      input.importance = summary.meanSquares;
      auto values = quantizeScaled(*layer.method, input, columns);
      if (!values)
        return values.takeError();
      bool isRounded = layer.scheme.dynamicActivations;
      if (isRounded && rounded.empty())
        rounded = roundSamples(columns);
      std::vector<float> product =
          multiplyRows(isRounded ? rounded : summary.samples, *values,
                       summary.columns, threads);
      for (auto [value, before] : llvm::zip_equal(product, output))
        value -= before;
      noise += sumProducts(product, product, layer.weight.rows, threads);
    }
    return signal > 0 ? noise / signal : noise;
  }

private:
  /// What 8 bits leave of x / s, times s.
  std::vector<float> roundSamples(ArrayRef<float> columns) const {
    int64_t cols = summary.columns;
    std::vector<float> result = summary.samples;
    std::vector<uint8_t> codes(cols);
    for (size_t first = 0; first < result.size(); first += cols) {
      llvm::MutableArrayRef<float> row(result.data() + first, cols);
      for (auto [value, scale] : llvm::zip_equal(row, columns))
        value /= scale;
      ActivationRange range = quantizeActivations(row, codes);
      for (auto [i, value] : llvm::enumerate(row))
        value = range.scale * (int(codes[i]) - int(range.zero)) * columns[i];
    }
    return result;
  }

  ArrayRef<ScaledLayer> layers;
  const ActivationSummary &summary;
  unsigned threads;
  std::vector<std::vector<float>> outputs;
  double signal = 0;
};

class SmoothQuant : public ScaleMethod {
public:
  explicit SmoothQuant(const SmoothQuantOptions &options) : options(options) {}

  SummaryNeeds getNeeds() const override {
    return {false, options.alpha ? 0 : options.maxSamples};
  }
  llvm::Expected<StageScales> find(ArrayRef<ScaledLayer> layers,
                                   const ActivationSummary &summary,
                                   unsigned threads) const override;

private:
  SmoothQuantOptions options;
};
} // namespace

llvm::Expected<StageScales> SmoothQuant::find(ArrayRef<ScaledLayer> layers,
                                              const ActivationSummary &summary,
                                              unsigned threads) const {
  StageScales result;
  if (summary.rows == 0)
    return result;
  std::vector<float> maxima = getColumnMaxima(getWeights(layers), threads);
  std::vector<float> weights(summary.maxima.size());
  for (auto [i, value] : llvm::enumerate(maxima)) {
    float &largest = weights[i / summary.window];
    largest = std::max(largest, value);
  }
  if (options.alpha) {
    result.alpha = *options.alpha;
    result.scales =
        getSmoothQuantScales(summary.maxima, weights, *options.alpha);
    return result;
  }
  if (summary.samples.empty())
    return llvm::createStringError(
        "smoothquant-alpha=auto compares outputs, for which statistics do not "
        "suffice: give samples with --data, or a number");
  ProductError error(layers, summary, threads);
  auto choice = searchSmoothQuantScales(
      summary.maxima, weights,
      [&](ArrayRef<float> scales) { return error.get(scales); });
  if (!choice)
    return choice.takeError();
  result.scales = std::move(choice->scales);
  result.alpha = choice->alpha;
  result.loss = choice->loss;
  result.unscaledLoss = choice->unscaledLoss;
  return result;
}

std::unique_ptr<ScaleMethod>
quantizer::createSmoothQuant(const SmoothQuantOptions &options) {
  return std::make_unique<SmoothQuant>(options);
}
