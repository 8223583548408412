//===- RTN.cpp - Round to nearest -----------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/RTN.h"
#include "GroupParameters.h"
#include "GroupTiles.h"
#include "RowErrors.h"
#include "nibble/Quantizer/DoubleQuantization.h"
#include "nibble/Quantizer/FourBit.h"
#include "nibble/Quantizer/GGUF.h"
#include "nibble/Quantizer/Method.h"
#include "nibble/Quantizer/Outliers.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cmath>

using namespace nibble;
using namespace nibble::quantizer;

namespace {
/// Smallest and largest weight of a group with zero between them.
struct Range {
  float min = 0, max = 0;
  bool finite = true;
};
} // namespace

/// Finite floats order as sign and magnitude, so integer maxima give the range:
/// they vectorize without leave to ignore NaN, which they find on the way.
static Range findRange(const float *values, int64_t count) {
  int32_t largest = 0, smallest = 0, magnitude = 0;
  for (int64_t i = 0; i < count; ++i) {
    int32_t bits = llvm::bit_cast<int32_t>(values[i]);
    largest = std::max(largest, bits);
    smallest = std::max(smallest, static_cast<int32_t>(bits ^ 0x80000000));
    magnitude = std::max(magnitude, static_cast<int32_t>(bits & 0x7fffffff));
  }
  Range range;
  range.max = llvm::bit_cast<float>(largest);
  range.min = -llvm::bit_cast<float>(smallest);
  range.finite = magnitude < 0x7f800000;
  return range;
}

static void roundGroup(const float *values, int64_t count,
                       const QuantizationScheme &scheme,
                       const GroupParameters &parameters, uint8_t *codes) {
  auto [low, high] = getLimits(scheme, parameters.zero);
  float scale = parameters.scale;
  uint8_t zero = parameters.zero;
  for (int64_t i = 0; i < count; ++i) {
    float rounded = roundCode(values[i], scale, low, high);
    codes[i] = static_cast<uint8_t>(llvm::bit_cast<uint32_t>(rounded)) + zero;
  }
}

/// Sum of squared errors, in an order that does not depend on vector lengths.
static double getSquaredError(const float *values, int64_t count,
                              const QuantizationScheme &scheme,
                              const GroupParameters &parameters) {
  std::pair<float, float> limits = getLimits(scheme, parameters.zero);
  float scale = parameters.scale;
  constexpr int64_t lanes = 16;
  float sums[lanes] = {};
  auto addError = [&](int64_t lane, float value) {
    float code =
        roundCode(value, scale, limits.first, limits.second) - roundingConstant;
    float error = value - scale * code;
    sums[lane] += error * error;
  };
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      addError(lane, values[i + lane]);
  for (; i < count; ++i)
    addError(i % lanes, values[i]);
  double sum = 0;
  for (float part : sums)
    sum += part;
  return sum;
}

/// The range shrunk by whichever of 0 to 79 % has the least squared error.
static GroupParameters searchParameters(const QuantizationScheme &scheme,
                                        const float *values, int64_t count,
                                        const Range &range) {
  GroupParameters best = getParameters(scheme, range.min, range.max);
  double leastError = getSquaredError(values, count, scheme, best);
  for (int step = 1; step < 80 && leastError > 0; ++step) {
    double keep = 1 - step / 100.0;
    GroupParameters trial =
        getParameters(scheme, range.min * keep, range.max * keep);
    double error = getSquaredError(values, count, scheme, trial);
    if (error < leastError) {
      leastError = error;
      best = trial;
    }
  }
  return best;
}

static std::string describeOverflow(const QuantizationScheme &scheme,
                                    const Range &range, int64_t row,
                                    int64_t group) {
  return llvm::formatv(
      "scale of row {0}, group {1} is too large for {2} (weights from {3:e} to "
      "{4:e}): use a wider scale type",
      row, group, stringifyScaleType(scheme.scaleType), range.min, range.max);
}

llvm::Error quantizer::quantizeRTN(const WeightView &weight,
                                   const QuantizationScheme &scheme,
                                   llvm::MutableArrayRef<uint8_t> codes,
                                   llvm::MutableArrayRef<float> scales,
                                   llvm::MutableArrayRef<uint8_t> zeros,
                                   unsigned threads) {
  if (llvm::Error error = scheme.verify())
    return error;
  int64_t cols = weight.cols;
  int64_t length = scheme.getGroupLength(cols);
  int64_t numGroups = scheme.getNumGroups(cols);
  assert(codes.size() == size_t(weight.rows * cols) && "one byte per weight");
  assert(scales.size() == size_t(weight.rows * numGroups) &&
         "one scale per group");
  assert(zeros.size() == (scheme.symmetric ? 0 : scales.size()) &&
         "one zero per group, or none");

  FirstError firstError;
  forEachGroup(
      weight, length, threads,
      [&](int64_t row, int64_t group, llvm::ArrayRef<float> values) {
        int64_t col = group * length, count = values.size();
        Range range = findRange(values.data(), count);
        if (!range.finite) {
          firstError.report(row, describeNonFinite(values.data(), row, col));
          return false;
        }
        GroupParameters parameters =
            scheme.scaleRule == ScaleRule::MSE
                ? searchParameters(scheme, values.data(), count, range)
                : getParameters(scheme, range.min, range.max);
        if (!std::isfinite(parameters.scale)) {
          firstError.report(row, describeOverflow(scheme, range, row, group));
          return false;
        }
        roundGroup(values.data(), count, scheme, parameters,
                   codes.data() + row * cols + col);
        scales[row * numGroups + group] = parameters.scale;
        if (!scheme.symmetric)
          zeros[row * numGroups + group] = parameters.zero;
        return true;
      });
  return firstError.take();
}

/// Rounds all weights anew, to the scales and zeros that there are.
static void roundToScales(const WeightView &weight, QuantizedWeight &result,
                          unsigned threads) {
  const QuantizationScheme &scheme = result.scheme;
  int64_t cols = weight.cols;
  int64_t length = scheme.getGroupLength(cols);
  int64_t numGroups = scheme.getNumGroups(cols);
  forEachGroup(weight, length, threads,
               [&](int64_t row, int64_t group, llvm::ArrayRef<float> values) {
                 int64_t index = row * numGroups + group;
                 int zero = scheme.symmetric ? scheme.getSymmetricZero()
                                             : result.zeros[index];
                 uint8_t *codes =
                     result.codes.data() + row * cols + group * length;
                 if (result.scales[index] == 0)
                   std::fill_n(codes, values.size(), zero);
                 else
                   roundGroup(values.data(), values.size(), scheme,
                              {result.scales[index], zero}, codes);
                 return true;
               });
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static const Method rtnMethod = {
    "rtn", "round to nearest; needs no data",
    [](const QuantizationScheme &scheme) -> llvm::Error {
      if (scheme.hasFloatZeros() && scheme.scaleRule != ScaleRule::GGML)
        return llvm::createStringError(
            "method 'rtn' has no zero points that are floats: use 'hqq'");
      return llvm::Error::success();
    },
    [](const MethodInput &input, QuantizedWeight &result) -> llvm::Error {
      if (input.scheme.scaleRule == ScaleRule::GGML) {
        MethodInput plain = input;
        plain.importance = {};
        return quantizeGGUF(plain, result);
      }
      if (input.scheme.outlierThreshold)
        return quantizeOutlierWeight(input.weight, result.codes, result.scales,
                                     input.threads);
      if (input.scheme.codebook != Codebook::Int)
        return quantizeFourBit(input.weight, result, input.threads);
      if (llvm::Error error =
              quantizeRTN(input.weight, input.scheme, result.codes,
                          result.scales, result.zeros, input.threads))
        return error;
      if (!input.scheme.second)
        return llvm::Error::success();
      if (llvm::Error error = quantizeScales(result))
        return error;
      roundToScales(input.weight, result, input.threads);
      return llvm::Error::success();
    }};
static RegisterMethod registerRTN(rtnMethod);
