//===- HQQ.cpp - Half-quadratic quantization ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/HQQ.h"
#include "GroupTiles.h"
#include "RowErrors.h"
#include "nibble/Quantizer/Method.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace nibble;
using namespace nibble::quantizer;
using llvm::ArrayRef;
using llvm::MutableArrayRef;

namespace {
/// Finds the parameters of one group after the other.
class Solver {
public:
  Solver(const QuantizationScheme &scheme, const HQQOptions &options)
      : scheme(scheme), options(options), maxCode(scheme.getMaxCode()) {}

  /// Sets scale and zero; false if one of them is not finite.
  bool solve(ArrayRef<float> values) {
    auto [min, max] = std::minmax_element(values.begin(), values.end());
    float range = *max - *min;
    scale = roundToScaleType(range / maxCode, scheme.scaleType);
    if (scale == 0) {
      // All weights are one number: code 0 stands for it.
      scale = 1;
      zero = roundToScaleType(-*min, scheme.scaleType);
      return std::isfinite(zero);
    }
    zero = -*min / scale;
    refineZero(values);
    zero = roundToScaleType(zero, scheme.scaleType);
    return std::isfinite(scale) && std::isfinite(zero);
  }

  float getCode(float value) const {
    return std::clamp(std::nearbyint(value / scale + zero), 0.0f, maxCode);
  }
  float getScale() const { return scale; }
  float getZero() const { return zero; }

private:
  /// The proximal operator of the norm: what is left of an error.
  float shrink(float error, float beta) const {
    float magnitude = std::fabs(error);
    float rest = magnitude - std::pow(magnitude, options.norm - 1) / beta;
    return rest > 0 ? std::copysign(rest, error) : 0;
  }

  void refineZero(ArrayRef<float> values) {
    float best = zero, beta = options.beta;
    double leastError = std::numeric_limits<double>::infinity();
    for (int i = 0; i <= options.iterations; ++i) {
      double error = 0, sum = 0;
      for (float value : values) {
        float code = getCode(value);
        float difference = value - (code - zero) * scale;
        error += std::fabs(difference);
        sum += code - (value - shrink(difference, beta)) / scale;
      }
      if (error < leastError) {
        leastError = error;
        best = zero;
      }
      zero = static_cast<float>(sum / values.size());
      beta *= options.kappa;
    }
    zero = best;
  }

  const QuantizationScheme &scheme;
  const HQQOptions &options;
  float maxCode;
  float scale = 1, zero = 0;
};
} // namespace

static llvm::Error verifyOptions(const HQQOptions &options) {
  if (!(options.norm > 0 && options.norm <= 1))
    return llvm::createStringError(llvm::formatv(
        "HQQ's norm is {0}: expected more than 0, at most 1", options.norm));
  if (!(options.beta > 0 && options.kappa > 0))
    return llvm::createStringError(
        llvm::formatv("HQQ's beta is {0} and kappa {1}: expected numbers above "
                      "0",
                      options.beta, options.kappa));
  if (options.iterations < 0)
    return llvm::createStringError(llvm::formatv(
        "HQQ's iterations are {0}: expected 0 or more", options.iterations));
  return llvm::Error::success();
}

llvm::Error quantizer::quantizeHQQ(const WeightView &weight,
                                   const QuantizationScheme &scheme,
                                   const HQQOptions &options,
                                   MutableArrayRef<uint8_t> codes,
                                   MutableArrayRef<float> scales,
                                   MutableArrayRef<float> zeros,
                                   unsigned threads) {
  if (llvm::Error error = scheme.verify())
    return error;
  if (llvm::Error error = verifyOptions(options))
    return error;
  int64_t cols = weight.cols;
  int64_t length = scheme.getGroupLength(cols);
  int64_t numGroups = scheme.getNumGroups(cols);
  assert(codes.size() == size_t(weight.rows * cols) && "one byte per weight");
  assert(scales.size() == size_t(weight.rows * numGroups) &&
         zeros.size() == scales.size() && "one scale and zero per group");

  FirstError firstError;
  forEachGroup(
      weight, length, threads,
      [&](int64_t row, int64_t group, ArrayRef<float> values) {
        int64_t col = group * length;
        if (!llvm::all_of(values, [](float v) { return std::isfinite(v); })) {
          firstError.report(row, describeNonFinite(values.data(), row, col));
          return false;
        }
        Solver solver(scheme, options);
        if (!solver.solve(values)) {
          firstError.report(
              row,
              llvm::formatv("scale or zero of row {0}, group {1} is too "
                            "large for {2}: use a wider scale type",
                            row, group, stringifyScaleType(scheme.scaleType)));
          return false;
        }
        for (auto [i, value] : llvm::enumerate(values))
          codes[row * cols + col + i] = solver.getCode(value);
        scales[row * numGroups + group] = solver.getScale();
        zeros[row * numGroups + group] = solver.getZero();
        return true;
      });
  return firstError.take();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static const Method hqqMethod = {
    "hqq",
    "half-quadratic: zeros that are floats, fitted; needs no data",
    [](const QuantizationScheme &scheme) -> llvm::Error {
      if (scheme.codebook == Codebook::Int && scheme.hasFloatZeros() &&
          scheme.zero == ZeroKind::Float && !scheme.second &&
          scheme.scaleRule == ScaleRule::AbsMax && !scheme.dynamicActivations)
        return llvm::Error::success();
      return llvm::createStringError(
          "method hqq is for integers with float zeros and one level of "
          "scales, by scale rule absmax: quantize to W2A16, W3A16, W4A16 or "
          "W8A16");
    },
    [](const MethodInput &input, QuantizedWeight &result) {
      return quantizeHQQ(input.weight, input.scheme, HQQOptions(), result.codes,
                         result.scales, result.floatZeros, input.threads);
    },
    /*needsHessian=*/false,
    /*needsImportance=*/false,
    /*hasFloatZeros=*/true};
static RegisterMethod registerHQQ(hqqMethod);
