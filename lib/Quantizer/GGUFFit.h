//===- GGUFFit.h - Scales by least squares ----------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// How ggml chooses codes, scale and minimum of a group: a few inverse scales
// are tried, for the codes of each the best scale has a closed form, and the
// one with the least weighted error wins. The order of every sum and product is
// ggml's, since one rounding more changes codes.
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_QUANTIZER_GGUFFIT_H
#define NIBBLE_LIB_QUANTIZER_GGUFFIT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/bit.h"
#include <cstdint>

namespace nibble::quantizer::gguf {

/// Groups whose largest magnitude is below this are zero.
inline constexpr float smallestMagnitude = 1e-15f;

/// The nearest integer, ties to even, of |value| < 2^22. Other values, which
/// come from scales too small for float, give the number that ggml's gives.
inline int roundToInt(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value + 0x1.8p23f);
  return static_cast<int>(bits & 0x7fffff) - 0x400000;
}

/// The value of largest magnitude, the first of equals; 0 for none.
float findSignedMaximum(llvm::ArrayRef<float> values);

/// The scale of codes in [-half, half) that are near values / scale; least
/// weighted squared error among 19 trials. Writes code + half, or 0 for all if
/// the values are zero.
float fitSymmetric(llvm::ArrayRef<float> values, llvm::ArrayRef<float> weights,
                   int half, llvm::MutableArrayRef<uint8_t> codes);

/// The same with weights values^2, from one trial that up to five passes over
/// the codes improve, one code at a time.
float fitByExchange(llvm::ArrayRef<float> values, int half,
                    llvm::MutableArrayRef<uint8_t> codes);

/// The scale of codes in [0, maxCode] of values that are not negative (scales
/// or minimums of groups), by nine trials and then exchange as above.
float fitPositive(llvm::ArrayRef<float> values, llvm::ArrayRef<float> weights,
                  int maxCode, llvm::MutableArrayRef<uint8_t> codes);

/// Trials of `fitAffine`: inverse scales (maxCode + first + i * step) / range,
/// i = 0 .. last.
struct AffineTrials {
  float first, step;
  int last;
  /// Compare absolute instead of squared errors.
  bool absolute = false;
};

/// values = scale * code + minimum with codes in [0, maxCode] and minimum <= 0.
struct AffineFit {
  float scale = 0, minimum = 0;
};
AffineFit fitAffine(llvm::ArrayRef<float> values, llvm::ArrayRef<float> weights,
                    int maxCode, const AffineTrials &trials,
                    llvm::MutableArrayRef<uint8_t> codes);

} // namespace nibble::quantizer::gguf

#endif // NIBBLE_LIB_QUANTIZER_GGUFFIT_H
