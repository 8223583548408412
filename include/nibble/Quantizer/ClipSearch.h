//===- ClipSearch.h - Ranges of weights by output error ---------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_CLIPSEARCH_H
#define NIBBLE_QUANTIZER_CLIPSEARCH_H

#include "nibble/Quantizer/Method.h"

namespace nibble::quantizer {

/// AutoAWQ's grid: keep 1, 0.95, .. 0.55 of the largest magnitude.
struct ClipOptions {
  int steps = 20;
  float maxShrink = 0.5f;
  /// Rows of activations that are looked at, evenly spread over those given.
  int64_t maxSamples = 512;
};

/// For each group of each row, the magnitude beyond which its weights are
/// clamped before they are quantized: the one for which the group's part of
/// the output has the least squared error. `activations` are T rows of K.
/// Weights are quantized by `method` (AWQ: "rtn") and `input`, which also
/// gives weight, scheme and threads. Returns [rows, G]; the same for any number
/// of threads.
///
/// Source: AWQ (Lin et al. 2023), "weight clipping". Errors: no activations, or
/// not whole rows; those of the method.
llvm::Expected<std::vector<float>>
searchClipping(const Method &method, const MethodInput &input,
               llvm::ArrayRef<float> activations,
               const ClipOptions &options = {});

/// Clamps weights [rows, cols] to +-limits [rows, G].
void clampGroups(llvm::MutableArrayRef<float> weights, int64_t cols,
                 const QuantizationScheme &scheme,
                 llvm::ArrayRef<float> limits);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_CLIPSEARCH_H
