//===- GGUFQuantize.cpp - Quantizers of the GGUF types --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GGUFFit.h"
#include "RowErrors.h"
#include "nibble/Quantizer/GGUF.h"
#include "nibble/Support/Parallel.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace nibble;
using namespace nibble::quantizer;
using namespace nibble::quantizer::gguf;
using llvm::ArrayRef;
using llvm::MutableArrayRef;

static constexpr int64_t superBlock = 256;
static constexpr int64_t maxGroups = superBlock / 16;

static float roundToHalf(float value) {
  return halfToFloat(floatToHalf(value));
}

/// The integer part. Quotients by a scale too small for float, which are not
/// finite, become 0, as x86 converts them to a byte; such a scale is 0 as a
/// half-precision number.
static int truncate(float value) {
  return std::fabs(value) < 0x1p31f ? static_cast<int>(value) : 0;
}

static float invert(float scale) { return scale != 0 ? 1 / scale : 0; }

static float sumSquares(ArrayRef<float> values) {
  float sum = 0;
  for (float value : values)
    sum += value * value;
  return sum;
}

/// How much errors count with an importance matrix: more for large weights.
static void getWeights(ArrayRef<float> values, ArrayRef<float> importance,
                       float variance, MutableArrayRef<float> weights) {
  for (auto [value, factor, weight] :
       llvm::zip_equal(values, importance, weights))
    weight = factor * std::sqrt(variance + value * value);
}

//===----------------------------------------------------------------------===//
// Blocks of 32
//===----------------------------------------------------------------------===//

/// Trials with an importance matrix, of all types that have minimums.
static constexpr AffineTrials importanceTrials = {-0.9f, 0.05f, 36};

/// Scale = the weight of largest magnitude / -half: that weight is exact.
static float quantizeSignedMaximum(ArrayRef<float> values, int half,
                                   MutableArrayRef<uint8_t> codes) {
  float scale = findSignedMaximum(values) / -half;
  float inverse = invert(scale);
  for (auto [value, code] : llvm::zip_equal(values, codes))
    code = std::min(2 * half - 1, truncate(value * inverse + (half + 0.5f)));
  return scale;
}

/// Scale = range / maxCode, minimum = the least weight.
static AffineFit quantizeRange(ArrayRef<float> values, int maxCode,
                               MutableArrayRef<uint8_t> codes) {
  // The first of equals: zeros have signs.
  float min = values[0], max = values[0];
  for (float value : values) {
    min = std::min(min, value);
    max = std::max(max, value);
  }
  AffineFit fit = {(max - min) / maxCode, min};
  float inverse = invert(fit.scale);
  for (auto [value, code] : llvm::zip_equal(values, codes))
    code = std::min(maxCode, truncate((value - fit.minimum) * inverse + 0.5f));
  return fit;
}

/// Q8_0: scale = absmax / 127, half rounded away from zero.
static float quantizeAbsMaximum(ArrayRef<float> values,
                                MutableArrayRef<uint8_t> codes) {
  float scale = std::fabs(findSignedMaximum(values)) / 127;
  float inverse = invert(scale);
  for (auto [value, code] : llvm::zip_equal(values, codes))
    code = 128 + truncate(std::round(value * inverse));
  return scale;
}

static AffineFit quantizeBlock(const GGUFTypeInfo &info, ArrayRef<float> values,
                               ArrayRef<float> importance, float variance,
                               MutableArrayRef<uint8_t> codes) {
  if (info.type == GGUFType::Q8_0)
    return {quantizeAbsMaximum(values, codes), 0};
  int maxCode = (1 << info.bits) - 1;
  if (importance.empty())
    return info.hasMinimum
               ? quantizeRange(values, maxCode, codes)
               : AffineFit{quantizeSignedMaximum(values, info.zero, codes), 0};
  float storage[32];
  MutableArrayRef<float> weights(storage, values.size());
  getWeights(values, importance, variance, weights);
  if (info.hasMinimum)
    return fitAffine(values, weights, maxCode, importanceTrials, codes);
  return {fitSymmetric(values, weights, info.zero, codes), 0};
}

//===----------------------------------------------------------------------===//
// Super-blocks of 256
//===----------------------------------------------------------------------===//

namespace {
/// A super-block and what becomes of it.
struct SuperBlock {
  const GGUFTypeInfo &info;
  ArrayRef<float> values, importance;
  MutableArrayRef<uint8_t> codes;
  MutableArrayRef<int8_t> subScales, subMinimums;
  float scale = 0, minimum = 0;

  int64_t getNumGroups() const { return superBlock / info.group; }
  ArrayRef<float> getValues(int64_t group) const {
    return values.slice(group * info.group, info.group);
  }
  ArrayRef<float> getImportance(int64_t group) const {
    return importance.slice(group * info.group, info.group);
  }
  MutableArrayRef<uint8_t> getCodes(int64_t group) const {
    return codes.slice(group * info.group, info.group);
  }
};
} // namespace

/// Products of huge weights, or of huge importance, overflow: then there is no
/// scale, which `checkScales` reports.
static bool areFinite(ArrayRef<float> scales) {
  return llvm::all_of(scales, [](float scale) { return std::isfinite(scale); });
}

/// The scale of non-negative `values` that makes the largest one maxCode.
static float scaleToMaximum(ArrayRef<float> values, int maxCode,
                            MutableArrayRef<uint8_t> codes) {
  float largest = 0;
  for (float value : values)
    largest = std::max(largest, value);
  float inverse = largest > 0 ? maxCode / largest : 0;
  for (auto [value, code] : llvm::zip_equal(values, codes))
    code = std::min<int>(maxCode,
                         static_cast<uint8_t>(roundToInt(inverse * value)));
  return largest / maxCode;
}

/// Q2_K, Q4_K, Q5_K: w = (d * s) * code - (m * t), s and t of the group.
static void quantizeAffine(SuperBlock &block) {
  const GGUFTypeInfo &info = block.info;
  bool isQ2 = info.type == GGUFType::Q2_K;
  int maxCode = (1 << info.bits) - 1, maxSub = isQ2 ? 15 : 63;
  AffineTrials trials = {-0.5f, 0.1f, 15, /*absolute=*/isQ2};
  if (info.type == GGUFType::Q4_K)
    trials = {-1, 0.1f, 20};
  bool hasImportance = !block.importance.empty();
  float variance = 0;
  if (hasImportance) {
    trials = importanceTrials;
    variance = (isQ2 ? 1 : 2) * sumSquares(block.values) / superBlock;
  }

  int64_t numGroups = block.getNumGroups();
  float scales[maxGroups], minimums[maxGroups], sums[maxGroups];
  for (int64_t group = 0; group < numGroups; ++group) {
    ArrayRef<float> values = block.getValues(group);
    float storage[32];
    MutableArrayRef<float> weights(storage, values.size());
    if (hasImportance) {
      getWeights(values, block.getImportance(group), variance, weights);
    } else {
      float average = isQ2 ? 0 : std::sqrt(sumSquares(values) / values.size());
      for (auto [value, weight] : llvm::zip_equal(values, weights))
        weight = average + std::fabs(value);
    }
    sums[group] = 0;
    for (float weight : weights)
      sums[group] += weight;
    AffineFit fit =
        fitAffine(values, weights, maxCode, trials, block.getCodes(group));
    scales[group] = fit.scale;
    minimums[group] = -fit.minimum;
  }

  if (!areFinite({scales, size_t(numGroups)}) ||
      !areFinite({minimums, size_t(numGroups)})) {
    block.scale = std::numeric_limits<float>::infinity();
    return;
  }
  uint8_t subScales[maxGroups], subMinimums[maxGroups];
  auto reduce = [&](const float *values, uint8_t *codes) {
    ArrayRef<float> all(values, numGroups);
    MutableArrayRef<uint8_t> to(codes, numGroups);
    return roundToHalf(
        hasImportance ? fitPositive(all, {sums, size_t(numGroups)}, maxSub, to)
                      : scaleToMaximum(all, maxSub, to));
  };
  block.scale = reduce(scales, subScales);
  float minimum = reduce(minimums, subMinimums);
  block.minimum = -minimum;
  for (int64_t group = 0; group < numGroups; ++group) {
    // The bits that a file has room for.
    block.subScales[group] = subScales[group] & maxSub;
    block.subMinimums[group] = subMinimums[group] & maxSub;
    float scale = block.scale * block.subScales[group];
    if (scale == 0)
      continue;
    float offset = minimum * block.subMinimums[group];
    for (auto [value, code] :
         llvm::zip_equal(block.getValues(group), block.getCodes(group)))
      code = std::clamp(roundToInt((value + offset) / scale), 0, maxCode);
  }
}

/// Q3_K and Q6_K: the scale of a group is d * s, with the sign of the scale of
/// largest magnitude on the side that has one code more.
static void scaleToSignedMaximum(ArrayRef<float> scales, int half,
                                 SuperBlock &block) {
  float inverse = -half / findSignedMaximum(scales);
  block.scale = roundToHalf(1 / inverse);
  for (auto [scale, code] : llvm::zip_equal(scales, block.subScales)) {
    int rounded = roundToInt(inverse * scale);
    // Q3_K's goes through a byte, Q6_K's becomes one.
    if (half < 128)
      rounded = std::max(-half, int(static_cast<int8_t>(rounded)));
    code = std::min(half - 1, rounded);
  }
}

static void quantizeSymmetric(SuperBlock &block) {
  const GGUFTypeInfo &info = block.info;
  bool isQ3 = info.type == GGUFType::Q3_K;
  bool hasImportance = !block.importance.empty();
  float variance =
      isQ3 && hasImportance ? 2 * sumSquares(block.values) / superBlock : 0;

  int64_t numGroups = block.getNumGroups();
  float allScales[maxGroups], sums[maxGroups];
  ArrayRef<float> scales(allScales, numGroups);
  for (int64_t group = 0; group < numGroups; ++group) {
    ArrayRef<float> values = block.getValues(group);
    MutableArrayRef<uint8_t> codes = block.getCodes(group);
    if (isQ3 && !hasImportance) {
      allScales[group] = fitByExchange(values, info.zero, codes);
      continue;
    }
    float weights[16];
    if (!hasImportance)
      for (auto [value, weight] : llvm::zip_equal(values, weights))
        weight = value * value;
    else if (isQ3)
      getWeights(values, block.getImportance(group), variance, weights);
    else
      llvm::copy(block.getImportance(group), weights);
    sums[group] = 0;
    for (float weight : weights)
      sums[group] += weight;
    allScales[group] = fitSymmetric(values, weights, info.zero, codes);
  }

  if (!areFinite(scales)) {
    block.scale = std::numeric_limits<float>::infinity();
    return;
  }
  if (isQ3 && hasImportance) {
    uint8_t codes[maxGroups];
    block.scale =
        roundToHalf(fitSymmetric(scales, {sums, size_t(numGroups)}, 32, codes));
    for (int64_t group = 0; group < numGroups; ++group)
      block.subScales[group] = codes[group] - 32;
  } else {
    float largest = std::fabs(findSignedMaximum(scales));
    if (isQ3 ? largest == 0 : largest < smallestMagnitude) {
      // Files have zero bytes, which are the least sub-scale.
      block.scale = 0;
      llvm::fill(block.subScales, isQ3 ? -32 : 0);
      if (!isQ3)
        llvm::fill(block.codes, 0);
      return;
    }
    scaleToSignedMaximum(scales, isQ3 ? 32 : 128, block);
  }
  for (int64_t group = 0; group < numGroups; ++group) {
    float scale = block.scale * block.subScales[group];
    if (scale == 0)
      continue;
    for (auto [value, code] :
         llvm::zip_equal(block.getValues(group), block.getCodes(group)))
      code = std::clamp(roundToInt(value / scale), -info.zero, info.zero - 1) +
             info.zero;
  }
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static void quantizeRow(const GGUFTypeInfo &info, ArrayRef<float> values,
                        ArrayRef<float> importance, int64_t row,
                        GGUFWeight &result) {
  int64_t cols = result.cols, numBlocks = result.getNumBlocks();
  MutableArrayRef<uint8_t> codes(result.codes);
  codes = codes.slice(row * cols, cols);
  bool isSuper = info.hasSuperBlocks();
  float variance =
      isSuper || importance.empty() ? 0 : sumSquares(values) / cols;
  for (int64_t i = 0; i < numBlocks; ++i) {
    int64_t first = i * info.block;
    int64_t count = std::min<int64_t>(info.block, cols - first);
    ArrayRef<float> blockImportance =
        importance.empty() ? importance : importance.slice(first, count);
    AffineFit fit;
    if (isSuper) {
      int64_t numGroups = info.block / info.group;
      size_t group = (row * numBlocks + i) * numGroups;
      MutableArrayRef<int8_t> subMinimums(result.subMinimums);
      SuperBlock block = {
          info,
          values.slice(first, count),
          blockImportance,
          codes.slice(first, count),
          MutableArrayRef<int8_t>(result.subScales).slice(group, numGroups),
          info.hasMinimum ? subMinimums.slice(group, numGroups) : subMinimums};
      info.hasMinimum ? quantizeAffine(block) : quantizeSymmetric(block);
      fit = {block.scale, block.minimum};
    } else {
      fit = quantizeBlock(info, values.slice(first, count), blockImportance,
                          variance, codes.slice(first, count));
    }
    result.scales[row * numBlocks + i] = roundToHalf(fit.scale);
    if (info.hasMinimum)
      result.minimums[row * numBlocks + i] = roundToHalf(fit.minimum);
  }
}

static llvm::Error verifyImportance(ArrayRef<float> importance, int64_t cols) {
  if (importance.empty())
    return llvm::Error::success();
  if (importance.size() != size_t(cols))
    return llvm::createStringError(llvm::formatv(
        "importance of {0} columns for a weight of {1}: expected one number "
        "per column",
        importance.size(), cols));
  for (auto [col, value] : llvm::enumerate(importance))
    if (!std::isfinite(value) || value < 0)
      return llvm::createStringError(
          llvm::formatv("importance of column {0} is {1}: expected a finite "
                        "number that is not negative",
                        col, value));
  return llvm::Error::success();
}

/// The error if a scale or minimum of the row is not finite, else nothing.
static std::string checkScales(const GGUFTypeInfo &info,
                               const GGUFWeight &result, int64_t row) {
  int64_t numBlocks = result.getNumBlocks();
  for (int64_t i = 0; i < numBlocks; ++i) {
    int64_t at = row * numBlocks + i;
    for (const std::vector<float> *values : {&result.scales, &result.minimums})
      if (!values->empty() && !std::isfinite((*values)[at]))
        return llvm::formatv(
            "{0} of row {1}, columns {2} to {3} is too large for f16, which "
            "{4} stores it in: keep this weight in float",
            values == &result.scales ? "scale" : "minimum", row, i * info.block,
            std::min<int64_t>((i + 1) * info.block, result.cols) - 1,
            info.name);
  }
  return "";
}

llvm::Expected<GGUFWeight> quantizer::quantizeGGUF(const WeightView &weight,
                                                   GGUFType type,
                                                   ArrayRef<float> importance,
                                                   unsigned threads) {
  const GGUFTypeInfo &info = getInfo(type);
  if (info.hasSuperBlocks() && weight.cols % info.block != 0)
    return llvm::createStringError(llvm::formatv(
        "rows of {0} weights are not whole blocks of {1}, which {2} has: use "
        "{3}",
        weight.cols, info.block, info.name,
        getInfo(getTypeForRowsOf(type, weight.cols)).name));
  if (llvm::Error error = verifyImportance(importance, weight.cols))
    return error;

  GGUFWeight result(type, weight.rows, weight.cols);
  FirstError firstError;
  constexpr int64_t tileRows = 16;
  parallelFor(weight.rows, tileRows, threads, [&](int64_t first, int64_t last) {
    std::vector<float> tile((last - first) * weight.cols);
    copyTile(weight, first, last - first, 0, weight.cols, tile.data());
    for (int64_t row = first; row < last; ++row) {
      ArrayRef<float> values(tile.data() + (row - first) * weight.cols,
                             weight.cols);
      if (!llvm::all_of(values, [](float v) { return std::isfinite(v); })) {
        firstError.report(row, describeNonFinite(values.data(), row, 0));
        return;
      }
      quantizeRow(info, values, importance, row, result);
      std::string message = checkScales(info, result, row);
      if (!message.empty()) {
        firstError.report(row, std::move(message));
        return;
      }
    }
  });
  if (llvm::Error error = firstError.take())
    return error;
  return std::move(result);
}
