//===- HQQ.h - Half-quadratic quantization ----------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Badri and Shaji, "Half-Quadratic Quantization of Large Machine Learning
// Models" (2023), with groups along rows (axis 1).
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_HQQ_H
#define NIBBLE_QUANTIZER_HQQ_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// Names and defaults of the package hqq.
struct HQQOptions {
  /// The exponent p of the error |w - s (q - z)|^p, in (0, 1]: below 2, so that
  /// few large weights do not decide.
  float norm = 0.7f;
  /// Weight of the quadratic term, and what it is multiplied with after each
  /// iteration.
  float beta = 10, kappa = 1.01f;
  int iterations = 20;
};

/// Codes with a zero that is not an integer: w = scale * (code - zero). The
/// scale is (max - min) / (2^b - 1), rounded to the scale type. The zero starts
/// at -min / scale; in each iteration errors are shrunk to what the norm leaves
/// of them, and the zero becomes the one that is best for the rest. Each group
/// keeps the zero of least mean |error| among all iterations; the package stops
/// all groups at once when their mean grows. Zeros are rounded to the scale
/// type before the codes are computed.
///
/// Needs no data. `scheme` gives bits, group and scale type. Sizes, with R
/// rows, K columns and G = scheme.getNumGroups(K): `codes` R*K, `scales` and
/// `zeros` R*G. The same for any number of `threads` (0: one per core).
///
/// Errors: a scheme that does not verify; options out of range; the first
/// weight (in row order) that is not finite; a scale or zero beyond the largest
/// value of the scale type.
llvm::Error
quantizeHQQ(const WeightView &weight, const QuantizationScheme &scheme,
            const HQQOptions &options, llvm::MutableArrayRef<uint8_t> codes,
            llvm::MutableArrayRef<float> scales,
            llvm::MutableArrayRef<float> zeros, unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_HQQ_H
