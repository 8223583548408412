//===- Outliers.cpp - LLM.int8 --------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Outliers.h"
#include "RowErrors.h"
#include "nibble/Support/Parallel.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include <cassert>
#include <cmath>

using namespace nibble;

llvm::Expected<float> quantizer::parseOutlierThreshold(llvm::StringRef text) {
  double value;
  if (text.getAsDouble(value) || !std::isfinite(static_cast<float>(value)) ||
      std::signbit(value))
    return llvm::createStringError(
        "'" + text +
        "': expected a magnitude such as 6.0, or 0 for no outliers");
  return static_cast<float>(value);
}

std::string quantizer::formatOutlierThreshold(float threshold) {
  std::string text;
  for (int digits = 1; digits <= 9; ++digits) {
    text.clear();
    llvm::raw_string_ostream(text)
        << llvm::format("%.*g", digits, double(threshold));
    if (std::strtof(text.c_str(), nullptr) == threshold)
      break;
  }
  return text;
}

/// `values` as halves, and their largest magnitude. Returns the first that is
/// not finite then, or `count`.
static int64_t roundToHalves(float *values, int64_t count, float &absMax) {
  absMax = 0;
  for (int64_t i = 0; i < count; ++i) {
    values[i] = quantizer::halfToFloat(quantizer::floatToHalf(values[i]));
    if (!std::isfinite(values[i]))
      return i;
    absMax = std::max(absMax, std::abs(values[i]));
  }
  return count;
}

static std::string describeNonHalf(float value, int64_t row, int64_t col) {
  if (!std::isfinite(value))
    return quantizer::describeNonFinite(&value, row, col);
  return llvm::formatv("weight at row {0}, column {1} is {2:e}: LLM.int8 takes "
                       "weights in half precision, at most 65504",
                       row, col, value);
}

llvm::Error quantizer::quantizeOutlierWeight(
    const WeightView &weight, llvm::MutableArrayRef<uint8_t> codes,
    llvm::MutableArrayRef<float> scales, unsigned threads) {
  int64_t cols = weight.cols;
  assert(codes.size() == size_t(weight.rows * cols) && "one byte per weight");
  assert(scales.size() == size_t(weight.rows) && "one scale per row");
  FirstError firstError;
  constexpr int64_t tileRows = 16;
  parallelFor(weight.rows, tileRows, threads, [&](int64_t first, int64_t last) {
    std::vector<float> tile(tileRows * cols);
    copyTile(weight, first, last - first, 0, cols, tile.data());
    for (int64_t row = first; row < last; ++row) {
      float *values = tile.data() + (row - first) * cols, absMax;
      int64_t wrong = roundToHalves(values, cols, absMax);
      if (wrong < cols)
        return firstError.report(
            row, describeNonHalf(weight.at(row, wrong), row, wrong));
      float factor = getOutlierFactor(absMax);
      for (int64_t i = 0; i < cols; ++i)
        codes[row * cols + i] =
            static_cast<uint8_t>(128 + std::nearbyint(values[i] * factor));
      scales[row] = absMax / outlierCodes;
    }
  });
  return firstError.take();
}

std::vector<int32_t> quantizer::quantizeOutlierActivations(
    llvm::ArrayRef<float> input, int64_t rows, float threshold,
    llvm::MutableArrayRef<int8_t> codes, llvm::MutableArrayRef<float> scales) {
  assert(rows >= 0 && scales.size() == size_t(rows) && "one scale per row");
  assert(codes.size() == input.size() && "one code for each activation");
  int64_t cols = rows ? input.size() / rows : 0;
  std::vector<bool> isOutlier(cols);
  for (int64_t row = 0; row < rows; ++row) {
    llvm::ArrayRef<float> values = input.slice(row * cols, cols);
    float absMax = 0;
    for (int64_t i = 0; i < cols; ++i) {
      float magnitude = std::abs(values[i]);
      if (threshold > 0 && magnitude >= threshold)
        isOutlier[i] = true;
      else if (!(magnitude <= absMax) && !std::isnan(absMax))
        absMax = magnitude;
    }
    float factor = getOutlierFactor(absMax);
    for (int64_t i = 0; i < cols; ++i) {
      float code = std::nearbyint(values[i] * factor);
      // Outliers and NaNs may have no code.
      codes[row * cols + i] =
          std::abs(code) <= outlierCodes ? static_cast<int8_t>(code) : 0;
    }
    scales[row] = absMax / outlierCodes;
  }
  std::vector<int32_t> columns;
  for (int64_t i = 0; i < cols; ++i) {
    if (!isOutlier[i])
      continue;
    columns.push_back(i);
    for (int64_t row = 0; row < rows; ++row)
      codes[row * cols + i] = 0;
  }
  return columns;
}
