//===- Activations.h - Activations in 8 bits --------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Activations that are quantized at run time: symmetric int8 with one scale for
// each token, as compressed-tensors' strategy `token` and torchao's
// Int8DynamicActivationInt8Weight define it (the range -128 to 127 is 255 steps
// wide, so the largest magnitude is 127.5 steps from zero).
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_ACTIVATIONS_H
#define NIBBLE_QUANTIZER_ACTIVATIONS_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace nibble::quantizer {

/// Steps between zero and the largest magnitude of a row.
constexpr float activationSteps = 127.5f;
/// The scale of a row of zeros: 2^-23.
constexpr float smallestActivationScale = 0x1p-23f;

/// Writes `clamp(round_half_to_even(x / scale), -128, 127)` for each `x` of
/// `row` to `codes`, which has as many, and returns the scale,
/// `max |x| / activationSteps`. NaNs do not count for the scale and get the
/// lowest code.
float quantizeActivations(llvm::ArrayRef<float> row,
                          llvm::MutableArrayRef<int8_t> codes);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_ACTIVATIONS_H
