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
nibble::quantizer::getMinimumScales(llvm::ArrayRef<float> bias,
                                    float inputScale) {
  constexpr double maxSteps = 1 << 30;
  std::vector<float> scales;
  for (float value : bias)
    scales.push_back(
        static_cast<float>(std::fabs(double(value)) / maxSteps / inputScale));
  return scales;
}

std::vector<int32_t>
nibble::quantizer::quantizeBias(llvm::ArrayRef<float> bias, float inputScale,
                                llvm::ArrayRef<float> weightScales) {
  std::vector<int32_t> codes;
  for (auto [row, value] : llvm::enumerate(bias)) {
    double step = inputScale * weightScales[row];
    codes.push_back(static_cast<int32_t>(std::clamp<double>(
        std::nearbyint(value / step), INT32_MIN, INT32_MAX)));
  }
  return codes;
}

std::vector<double> nibble::quantizer::getMeanShift(
    const WeightView &weight, const Int8Weight &quantized,
    const ColumnChannels &channels, llvm::ArrayRef<float> mean) {
  int64_t rows = weight.rows, cols = weight.cols;
  int64_t perGroup = cols / channels.window;
  bool byColumn =
      channels.groups == 1 && static_cast<int64_t>(mean.size()) == cols;
  if (!byColumn &&
      static_cast<int64_t>(mean.size()) != perGroup * channels.groups)
    return {};
  std::vector<double> shift(rows);
  std::vector<float> values(cols);
  for (int64_t row = 0; row < rows; ++row) {
    copyTile(weight, row, 1, 0, cols, values.data());
    const int8_t *codes = quantized.codes.data() + row * cols;
    int64_t first = row / (rows / channels.groups) * perGroup;
    for (int64_t col = 0; col < cols; ++col) {
      double error = double(quantized.scales[row]) * codes[col] - values[col];
      shift[row] +=
          error * mean[byColumn ? col : first + col / channels.window];
    }
  }
  return shift;
}
