//===- StaticActivations.cpp - Activations with scales from data ----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/StaticActivations.h"
#include "nibble/Quantizer/RTN.h"
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

using namespace nibble::quantizer;

ValueRange ValueRange::join(const ValueRange &other) const {
  return {std::min(low, other.low), std::max(high, other.high)};
}

ActivationGrid nibble::quantizer::chooseGrid(const ValueRange &range,
                                             const ActivationFormat &format) {
  assert(std::isfinite(range.low) && std::isfinite(range.high) &&
         "a range must be finite");
  double low = std::min(range.low, 0.0), high = std::max(range.high, 0.0);
  double first = format.getLowest(), last = format.getHighest();
  if (format.symmetric) {
    high = std::max(-low, high);
    low = -high;
  }
  float scale = static_cast<float>((high - low) / (last - first));
  // The middle of unsigned codes is no integer; half to even gives 128.
  int middle = static_cast<int>(std::nearbyint((first + last) / 2));
  if (!(scale >= std::numeric_limits<float>::min()))
    return {1.0f, format.symmetric ? middle : format.isUnsigned ? 0 : middle};
  if (format.symmetric)
    return {scale, middle};
  double zero = std::nearbyint(first - low / double(scale));
  return {scale, static_cast<int>(std::clamp(zero, first, last))};
}

llvm::Expected<Int8Weight>
nibble::quantizer::quantizeInt8(const WeightView &weight, ScaleRule rule,
                                llvm::ArrayRef<float> minimumScales) {
  QuantizationScheme scheme;
  scheme.bits = 8;
  scheme.group = -1;
  scheme.scaleType = ScaleType::F32;
  scheme.scaleRule = rule;
  int64_t rows = weight.rows, cols = weight.cols;
  std::vector<uint8_t> codes(rows * cols);
  Int8Weight result{rows, cols, {}, std::vector<float>(rows)};
  if (llvm::Error error = quantizeRTN(weight, scheme, codes, result.scales, {}))
    return std::move(error);
  int zero = scheme.getSymmetricZero();
  result.codes.resize(codes.size());
  for (size_t i = 0; i < codes.size(); ++i)
    // Kernels that saturate sums of pairs, and those that negate, need -127.
    result.codes[i] = static_cast<int8_t>(std::max(codes[i] - zero, -127));
  for (int64_t row = 0; row < static_cast<int64_t>(minimumScales.size());
       ++row) {
    float &scale = result.scales[row];
    if (scale >= minimumScales[row])
      continue;
    scale = minimumScales[row];
    for (int64_t col = 0; col < cols; ++col)
      result.codes[row * cols + col] = static_cast<int8_t>(std::clamp(
          std::nearbyint(weight.at(row, col) / scale), -127.0f, 127.0f));
  }
  return result;
}

std::vector<float>
nibble::quantizer::getMinimumScales(int64_t rows, llvm::ArrayRef<float> bias,
                                    float inputScale, float factor) {
  constexpr double maxSteps = 1 << 30;
  constexpr double largest = std::numeric_limits<float>::max();
  // Twice the smallest normal number: products are rounded.
  constexpr double smallest = 2.0 * std::numeric_limits<float>::min();
  double step = double(inputScale) * factor;
  double least = smallest / std::min({1.0, double(factor), step});
  std::vector<float> scales(rows, static_cast<float>(std::min(least, largest)));
  for (auto [scale, value] : llvm::zip(scales, bias))
    scale = std::max(scale,
                     static_cast<float>(std::min(
                         std::fabs(double(value)) / maxSteps / step, largest)));
  return scales;
}

std::vector<int32_t>
nibble::quantizer::quantizeBias(llvm::ArrayRef<float> bias, double inputScale,
                                llvm::ArrayRef<float> weightScales) {
  std::vector<int32_t> codes;
  for (auto [row, value] : llvm::enumerate(bias)) {
    double step = inputScale * weightScales[row];
    codes.push_back(static_cast<int32_t>(std::clamp<double>(
        std::nearbyint(value / step), INT32_MIN, INT32_MAX)));
  }
  return codes;
}

/// The entries of `values` that the columns of a row read, one after another;
/// empty if there are not as many channels or columns.
static std::vector<float> getColumns(llvm::ArrayRef<float> values, int64_t row,
                                     const WeightView &weight,
                                     const ColumnChannels &channels) {
  int64_t cols = weight.cols, perGroup = cols / channels.window;
  int64_t size = values.size();
  if (channels.groups == 1 && size == cols)
    return values.vec();
  if (size != perGroup * channels.groups)
    return {};
  int64_t first = row / (weight.rows / channels.groups) * perGroup;
  std::vector<float> result(cols);
  for (int64_t col = 0; col < cols; ++col)
    result[col] = values[first + col / channels.window];
  return result;
}

std::vector<double> nibble::quantizer::getMeanShift(
    const WeightView &weight, const Int8Weight &quantized,
    const ColumnChannels &channels, llvm::ArrayRef<float> mean, float factor) {
  int64_t rows = weight.rows, cols = weight.cols;
  std::vector<double> shift(rows);
  std::vector<float> values(cols);
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<float> means = getColumns(mean, row, weight, channels);
    if (means.empty())
      return {};
    copyTile(weight, row, 1, 0, cols, values.data());
    const int8_t *codes = quantized.codes.data() + row * cols;
    for (int64_t col = 0; col < cols; ++col)
      shift[row] += (double(quantized.scales[row]) * codes[col] -
                     double(factor) * values[col]) *
                    means[col];
  }
  return shift;
}

std::optional<double> nibble::quantizer::predictSQNR(
    const WeightView &weight, const ColumnChannels &channels,
    llvm::ArrayRef<float> meanSquare, float inputScale) {
  std::vector<float> values(weight.cols);
  double signal = 0, squares = 0;
  for (int64_t row = 0; row < weight.rows; ++row) {
    std::vector<float> means = getColumns(meanSquare, row, weight, channels);
    if (means.empty())
      return std::nullopt;
    copyTile(weight, row, 1, 0, weight.cols, values.data());
    for (auto [value, mean] : llvm::zip_equal(values, means)) {
      double square = double(value) * value;
      signal += square * mean;
      squares += square;
    }
  }
  double noise = squares * inputScale * inputScale / 12;
  if (noise == 0)
    return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}
