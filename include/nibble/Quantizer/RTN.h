//===- RTN.h - Round to nearest ---------------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_RTN_H
#define NIBBLE_QUANTIZER_RTN_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// Rounds every weight to the nearest code of its group (half to even, then
/// clamped), as ONNX's QuantizeLinear does:
///
///     symmetric   code = clamp(round(w / s), -2^(b-1), 2^(b-1) - 1) + 2^(b-1)
///     asymmetric  zero = clamp(round(-min / s), 0, 2^b - 1)
///                 code = clamp(round(w / s) + zero, 0, 2^b - 1)
///
/// The scale s follows `scheme.scaleRule` and is rounded to the scale type
/// before the zero and the codes are computed. A group of zeros gets the scale
/// 1; a scale too small for its type becomes the smallest positive one. If the
/// scheme has a second level, scales are float32 and those of zeros 0.
///
/// Sizes, with R rows, K columns and G = scheme.getNumGroups(K): `codes` R*K,
/// `scales` R*G, `zeros` R*G or empty if symmetric. The result is the same
/// for any number of `threads` (0: one per core).
///
/// Errors: a scheme that does not verify; the first weight (in row order) that
/// is not finite; a scale beyond the largest value of the scale type.
llvm::Error quantizeRTN(const WeightView &weight,
                        const QuantizationScheme &scheme,
                        llvm::MutableArrayRef<uint8_t> codes,
                        llvm::MutableArrayRef<float> scales,
                        llvm::MutableArrayRef<uint8_t> zeros,
                        unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_RTN_H
