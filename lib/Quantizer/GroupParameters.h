//===- GroupParameters.h - Scale and zero of a group ------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_QUANTIZER_GROUPPARAMETERS_H
#define NIBBLE_LIB_QUANTIZER_GROUPPARAMETERS_H

#include "nibble/Quantizer/Scheme.h"
#include <utility>

namespace nibble::quantizer {

/// What maps the weights of a group to codes.
struct GroupParameters {
  float scale = 1;
  int zero = 0;
};

/// Scale, rounded to its type, and zero for weights between `min` <= 0 and
/// `max` >= 0, without a search. The scale is infinite if it is beyond the
/// largest value of its type.
GroupParameters getParameters(const QuantizationScheme &scheme, double min,
                              double max);

/// Adding and subtracting this leaves the nearest integer, ties to even, of any
/// number up to 2^22 in the low bits of the mantissa.
inline constexpr float roundingConstant = 0x1.8p23f;

/// Integers between which w / scale is clamped: code = zero + the result.
inline std::pair<float, float> getLimits(const QuantizationScheme &scheme,
                                         int zero) {
  return {static_cast<float>(-zero),
          static_cast<float>(scheme.getMaxCode() - zero)};
}

/// The rounded quotient plus `roundingConstant`.
inline float roundCode(float value, float scale, float low, float high) {
  // Clamping to integers first gives what clamping last does.
  float quotient = value / scale;
  quotient = quotient < low ? low : quotient;
  quotient = quotient > high ? high : quotient;
  return quotient + roundingConstant;
}

} // namespace nibble::quantizer

#endif // NIBBLE_LIB_QUANTIZER_GROUPPARAMETERS_H
