//===- GPTQScales.h - Scales of many rows at once ---------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_QUANTIZER_GPTQSCALES_H
#define NIBBLE_LIB_QUANTIZER_GPTQSCALES_H

#include "GroupParameters.h"
#include "VectorMath.h"

namespace nibble::quantizer {

/// Rows that are rounded together, one in each lane.
inline constexpr int sweepRows = 32;

/// Parameters of one group of `sweepRows` rows: scale, and the integers between
/// which w / scale is clamped.
struct LaneParameters {
  alignas(64) float scale[sweepRows], low[sweepRows], high[sweepRows];

  void set(int lane, const QuantizationScheme &scheme,
           const GroupParameters &from) {
    scale[lane] = from.scale;
    auto limits = getLimits(scheme, from.zero);
    low[lane] = limits.first;
    high[lane] = limits.second;
  }
};

/// value - factor * other, and sum + factor * other.
template <typename CPU, typename V>
NIBBLE_INLINE V subtractScaled(const V &value, const V &factor,
                               const V &other) {
  if constexpr (CPU::hasFMA)
    return __builtin_elementwise_fma(-factor, other, value);
  else
    return value - factor * other;
}
template <typename CPU, typename V>
NIBBLE_INLINE V addScaled(const V &sum, const V &factor, const V &other) {
  if constexpr (CPU::hasFMA)
    return __builtin_elementwise_fma(factor, other, sum);
  else
    return sum + factor * other;
}

/// The integer that a value becomes: code - zero.
template <typename V>
NIBBLE_INLINE V roundLanes(const V &value, const V &scale, const V &low,
                           const V &high) {
  V quotient = value / scale;
  quotient = __builtin_elementwise_max(quotient, low);
  quotient = __builtin_elementwise_min(quotient, high);
  return (quotient + roundingConstant) - roundingConstant;
}

/// x^2.4 for x >= 0, within 1e-6 of it if x is between 1e-6 and 1e6.
template <typename CPU, typename V>
NIBBLE_INLINE V powerOfError(const V &x) {
  using Integers = Vector<int32_t, sweepRows>;
  // log2: the exponent, and a polynomial in a mantissa near 1.
  Integers bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  Integers shifted = bits - 0x3f3504f3;
  Integers exponent = shifted >> 23;
  bits -= exponent << 23;
  V t;
  __builtin_memcpy(&t, &bits, sizeof(t));
  t -= 1.0f;
  V log = 0.126148466f;
  for (float c : {-0.207421035f, 0.215669859f, -0.23892034f, 0.287918324f,
                  -0.360704828f, 0.48091061f, -0.721347333f, 1.442695f})
    log = addScaled<CPU>(V(c), log, t);
  log = addScaled<CPU>(__builtin_convertvector(exponent, V), log, t);
  // 2^p: the integer next to p, and a polynomial in the rest. Below 2^-120 it
  // is as good as zero.
  V p = __builtin_elementwise_max(log * 2.4f, V(-120.0f));
  V whole = (p + roundingConstant) - roundingConstant;
  V rest = p - whole;
  V power = 0.00015469732f;
  for (float c : {0.00134004322f, 0.0096180256f, 0.0555032721f, 0.240226512f,
                  0.693147207f, 1.0f})
    power = addScaled<CPU>(V(c), power, rest);
  Integers scaled;
  __builtin_memcpy(&scaled, &power, sizeof(scaled));
  scaled += __builtin_convertvector(whole, Integers) << 23;
  __builtin_memcpy(&power, &scaled, sizeof(power));
  return power;
}

/// Chooses scale and zero of a group for all lanes. The group's weights are at
/// `values` [..][sweepRows] in the `count` places `places`.
template <typename CPU>
NIBBLE_INLINE void chooseParameters(const QuantizationScheme &scheme,
                                    const float *values, const int32_t *places,
                                    int64_t count, LaneParameters &result) {
  using V = Vector<float, sweepRows>;
  auto load = [](const float *from) __attribute__((always_inline)) {
    V value;
    __builtin_memcpy(&value, from, sizeof(V));
    return value;
  };
  V min = 0, max = 0;
  for (int64_t i = 0; i < count; ++i) {
    V value = load(values + int64_t(places[i]) * sweepRows);
    min = __builtin_elementwise_min(min, value);
    max = __builtin_elementwise_max(max, value);
  }
  for (int lane = 0; lane < sweepRows; ++lane)
    result.set(lane, scheme, getParameters(scheme, min[lane], max[lane]));
  if (scheme.scaleRule != ScaleRule::MSE)
    return;

  // Errors relative to the range, so that powers of them are ordinary numbers.
  V range = __builtin_elementwise_max(max, -min);
  V norm = 1.0f / __builtin_elementwise_max(range, V(1e-30f));
  V least = 0;
  LaneParameters trial = result;
  for (int step = 0; step < 80; ++step) {
    double keep = 1 - step / 100.0;
    if (step > 0)
      for (int lane = 0; lane < sweepRows; ++lane)
        trial.set(lane, scheme,
                  getParameters(scheme, min[lane] * keep, max[lane] * keep));
    V scale = load(trial.scale), low = load(trial.low), high = load(trial.high);
    V sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      V value = load(values + int64_t(places[i]) * sweepRows);
      V code = roundLanes(value, scale, low, high);
      V error = subtractScaled<CPU>(value, scale, code) * norm;
      sum += powerOfError<CPU>(__builtin_elementwise_abs(error));
    }
    for (int lane = 0; lane < sweepRows; ++lane)
      if (step == 0 || sum[lane] < least[lane]) {
        least[lane] = sum[lane];
        result.scale[lane] = trial.scale[lane];
        result.low[lane] = trial.low[lane];
        result.high[lane] = trial.high[lane];
      }
  }
}

} // namespace nibble::quantizer

#endif // NIBBLE_LIB_QUANTIZER_GPTQSCALES_H
