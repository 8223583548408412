//===- Activations.h - Activations in 8 bits --------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Activations that are quantized at run time: 8 bits with a scale and a zero
// point for each token or sample, by the formulae of ONNX's
// DynamicQuantizeLinear, which has one pair for a whole tensor. What comes from
// ReLU, SiLU or a softmax is mostly of one sign: a symmetric range would leave
// half of the codes empty.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_ACTIVATIONS_H
#define NIBBLE_QUANTIZER_ACTIVATIONS_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace nibble::quantizer {

/// Steps between the smallest and the largest value of a row.
constexpr float activationSteps = 255;
/// The scale of a row of zeros: 2^-23.
constexpr float smallestActivationScale = 0x1p-23f;

/// What the codes of a row mean: `x = scale * (code - zero)`.
struct ActivationRange {
  float scale;
  uint8_t zero;
};

/// Writes `clamp(round_half_to_even(x / scale) + zero, 0, 255)` for each `x` of
/// `row` to `codes`, which has as many. The scale is `(high - low) /
/// activationSteps` and the zero point `round_half_to_even(-low / scale)`,
/// where low and high are the least and the greatest of the row and 0. NaNs do
/// not count for them and get the code 0.
ActivationRange quantizeActivations(llvm::ArrayRef<float> row,
                                    llvm::MutableArrayRef<uint8_t> codes);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_ACTIVATIONS_H
