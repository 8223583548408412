//===- Outliers.cpp - LLM.int8 --------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Outliers.h"
#include "nibble/Support/Parallel.h"
#include "llvm/Support/FormatVariadic.h"
#include <cassert>
#include <cmath>
#include <limits>
#include <mutex>

using namespace nibble;

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

llvm::Error quantizer::quantizeOutlierWeight(
    const WeightView &weight, llvm::MutableArrayRef<uint8_t> codes,
    llvm::MutableArrayRef<float> scales, unsigned threads) {
  int64_t cols = weight.cols;
  assert(codes.size() == size_t(weight.rows * cols) && "one byte per weight");
  assert(scales.size() == size_t(weight.rows) && "one scale per row");
  std::mutex mutex;
  int64_t wrongRow = std::numeric_limits<int64_t>::max(), wrongCol = 0;
  constexpr int64_t tileRows = 16;
  parallelFor(weight.rows, tileRows, threads, [&](int64_t first, int64_t last) {
    std::vector<float> tile(tileRows * cols);
    copyTile(weight, first, last - first, 0, cols, tile.data());
    for (int64_t row = first; row < last; ++row) {
      float *values = tile.data() + (row - first) * cols, absMax;
      int64_t wrong = roundToHalves(values, cols, absMax);
      if (wrong < cols) {
        std::lock_guard<std::mutex> lock(mutex);
        if (row < wrongRow) {
          wrongRow = row;
          wrongCol = wrong;
        }
        return;
      }
      float factor = getOutlierFactor(absMax);
      for (int64_t i = 0; i < cols; ++i)
        codes[row * cols + i] =
            static_cast<uint8_t>(128 + std::nearbyint(values[i] * factor));
      scales[row] = absMax / outlierCodes;
    }
  });
  if (wrongRow == std::numeric_limits<int64_t>::max())
    return llvm::Error::success();
  float value = weight.at(wrongRow, wrongCol);
  return llvm::createStringError(llvm::formatv(
      "weight at row {0}, column {1} is {2}: LLM.int8 takes weights that are "
      "finite in half precision, at most 65504",
      wrongRow, wrongCol,
      std::isnan(value)       ? std::string("NaN")
      : !std::isfinite(value) ? std::string("infinite")
                              : llvm::formatv("{0:e}", value).str()));
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
