//===- FourBit.cpp - NF4 and FP4 in blocks --------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/FourBit.h"
#include "RowErrors.h"
#include "nibble/Quantizer/Codebook.h"
#include "nibble/Quantizer/DoubleQuantization.h"
#include "nibble/Support/Parallel.h"
#include <algorithm>
#include <array>
#include <numeric>

using namespace nibble;
using namespace nibble::quantizer;

namespace {
/// What maps values in [-1, 1] to codes: a value above a threshold has the code
/// behind it.
struct Thresholds {
  std::array<float, 15> middles;
  std::array<uint8_t, 16> codes;

  explicit Thresholds(Codebook codebook) {
    llvm::ArrayRef<float> values = getCodebookValues(codebook);
    std::iota(codes.begin(), codes.end(), 0);
    // Of the two zeros of FP4 the positive one comes first.
    std::stable_sort(codes.begin(), codes.end(), [&](uint8_t a, uint8_t b) {
      return values[a] < values[b];
    });
    for (size_t i = 0; i < middles.size(); ++i)
      middles[i] = (values[codes[i]] + values[codes[i + 1]]) / 2;
  }

  uint8_t getCode(float value) const {
    int below = 0;
    for (float middle : middles)
      below += middle < value ? 1 : 0;
    return codes[below];
  }
};
} // namespace

/// The least scale that is divided by.
static constexpr float leastScale = 1e-38f;

/// Copies `count` weights from number `first` on, in row order.
static void copyRun(const WeightView &weight, int64_t first, int64_t count,
                    float *out) {
  while (count > 0) {
    int64_t row = first / weight.cols, col = first % weight.cols;
    int64_t rows = 1, cols = std::min(count, weight.cols - col);
    // All rows that are whole at once: columns may be what is contiguous.
    if (col == 0 && count >= weight.cols)
      rows = count / weight.cols;
    copyTile(weight, row, rows, col, cols, out);
    out += rows * cols;
    first += rows * cols;
    count -= rows * cols;
  }
}

/// Quantizes one block and returns its scale. bitsandbytes multiplies with the
/// reciprocal in whole blocks and divides in a short one.
static float quantizeBlock(llvm::ArrayRef<float> values, bool isShort,
                           const Thresholds &thresholds, uint8_t *codes) {
  float largest = 0;
  for (float value : values)
    largest = std::max(largest, std::fabs(value));
  float scale = std::max(largest, leastScale), factor = 1.0f / scale;
  for (float value : values) {
    float scaled = isShort ? value / scale : value * factor;
    *codes++ = thresholds.getCode(std::clamp(scaled, -1.0f, 1.0f));
  }
  return isShort ? scale : largest;
}

llvm::Error quantizer::quantizeFourBit(const WeightView &weight,
                                       const QuantizationScheme &scheme,
                                       llvm::MutableArrayRef<uint8_t> codes,
                                       llvm::MutableArrayRef<float> scales,
                                       unsigned threads) {
  if (llvm::Error error = scheme.verify())
    return error;
  if (scheme.codebook == Codebook::Int)
    return llvm::createStringError("codes are integers: expected nf4 or fp4");
  int64_t block = scheme.group, total = weight.rows * weight.cols;
  assert(codes.size() == size_t(total) && "one byte per weight");
  assert(scales.size() == size_t((total + block - 1) / block) &&
         "one scale per block");
  const Thresholds thresholds(scheme.codebook);
  // As many rows as fill a cache line when columns are far apart.
  constexpr int64_t tileRows = 16;
  int64_t piece = std::max<int64_t>(1, tileRows * weight.cols / block);
  FirstError firstError;
  parallelFor(scales.size(), piece, threads, [&](int64_t begin, int64_t end) {
    int64_t first = begin * block, last = std::min(end * block, total);
    std::vector<float> values(last - first);
    copyRun(weight, first, last - first, values.data());
    auto bad = llvm::find_if(values, [](float v) { return !std::isfinite(v); });
    if (bad != values.end()) {
      int64_t at = first + (bad - values.begin());
      firstError.report(
          at, describeNonFinite(&*bad, at / weight.cols, at % weight.cols));
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      int64_t at = i * block, count = std::min(block, total - at);
      float scale = quantizeBlock({&values[at - first], size_t(count)},
                                  count < block, thresholds, &codes[at]);
      scales[i] = roundToScaleType(scale, scheme.scaleType);
      if (!std::isfinite(scales[i])) {
        firstError.report(
            at, llvm::formatv("scale of the block from row {0}, column {1} on "
                              "is too large for {2} ({3:e}): use a wider scale "
                              "type",
                              at / weight.cols, at % weight.cols,
                              stringifyScaleType(scheme.scaleType), scale));
        return;
      }
    }
  });
  return firstError.take();
}

int64_t quantizer::getGroupInBlocks(int64_t block, int64_t rows, int64_t cols) {
  return rows == 1 ? block : std::gcd(block, cols);
}

llvm::Error quantizer::quantizeFourBit(const WeightView &weight,
                                       QuantizedWeight &result,
                                       unsigned threads) {
  QuantizationScheme &scheme = result.scheme;
  int64_t block = scheme.group;
  int64_t numBlocks = (weight.rows * weight.cols + block - 1) / block;
  if (scheme.second)
    scheme.scaleType = ScaleType::F32;
  std::vector<float> scales(numBlocks);
  if (llvm::Error error =
          quantizeFourBit(weight, scheme, result.codes, scales, threads))
    return error;
  scheme.group = getGroupInBlocks(block, weight.rows, weight.cols);
  int64_t count = weight.rows * scheme.getNumGroups(weight.cols);
  auto repeat = [&](const auto &values) {
    return repeatForGroups(llvm::ArrayRef(values), block, scheme.group, count);
  };
  if (!scheme.second) {
    result.scales = repeat(scales);
    return llvm::Error::success();
  }
  SecondLevel &level = *scheme.second;
  int64_t length = (numBlocks + level.group - 1) / level.group;
  std::vector<uint8_t> codes(numBlocks);
  result.second.resize(scheme.getSecondRows() * length);
  if (llvm::Error error =
          encodeSecondLevel(scales, level, std::nullopt, codes, result.second))
    return error;
  result.scaleCodes = repeat(codes);
  level.group *= block / scheme.group;
  decodeSecondLevel(result);
  return llvm::Error::success();
}
