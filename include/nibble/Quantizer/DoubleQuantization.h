//===- DoubleQuantization.h - Scales in 8 bits ----------------- -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Double quantization of QLoRA (arXiv:2305.14314): the scales of groups become
// 8-bit codes. With 256 of them to a float32 scale, groups of 64 take 0.127
// instead of 0.5 bits of a weight.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_DOUBLEQUANTIZATION_H
#define NIBBLE_QUANTIZER_DOUBLEQUANTIZATION_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// Codes of `values`, with what groups of `level.group` of them share: `second`
/// has their scales and then, with `level.hasOffset`, the offset, once for each
/// group.
///
/// The offset is the mean of all values, or `offset` where it is given; values
/// minus the offset are divided by the largest magnitude of their group. The
/// code of the dynamic map is looked up as bitsandbytes does on a CPU: that of
/// the value nearest to the nearest of 2^16 points in [-1, 1]. Without
/// `level.dynamic` codes are two's complement in [-127, 127], rounded half to
/// even. A group of zeros has the scale 0.
///
/// Errors: a scale or offset beyond the largest value of `level.type`.
llvm::Error encodeSecondLevel(llvm::ArrayRef<float> values,
                              const SecondLevel &level,
                              std::optional<float> offset,
                              llvm::MutableArrayRef<uint8_t> codes,
                              llvm::MutableArrayRef<float> second);

/// Makes codes of the scales and float zeros of a weight whose scheme has a
/// second level; they become what their codes stand for. Codes of weights stay.
llvm::Error quantizeScales(QuantizedWeight &weight);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_DOUBLEQUANTIZATION_H
