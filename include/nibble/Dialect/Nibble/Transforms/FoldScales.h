//===- FoldScales.h - Scales of input channels in the IR --------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_FOLDSCALES_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_FOLDSCALES_H

#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/ADT/DenseMap.h"
#include <vector>

namespace nibble {

/// On a layer: `array<f32: ...>`, one number for each channel of its
/// activations, as AWQ and SmoothQuant choose them (see
/// nibble/Quantizer/ScaleSearch.h). `nibble-fold-scales` takes it off.
inline constexpr llvm::StringLiteral inputScalesAttrName =
    "nibble.input_scales";

/// Where the division of the activations went.
enum class FoldedInto { Producer, Multiplication };

/// Multiplies the weights of `layers`, which read the same activations, with
/// `scales` (one for each input channel, above 0), and divides the activations
/// by them: the float function stays the same. If nothing else reads the
/// activations and what computes them can be divided (a product with a
/// constant, as in a normalization, or the output channels of another layer),
/// constants change; else there is a multiplication in front of the layers.
/// Weights must be float32 constants. Errors name the layer.
///
/// `outputScales` gets, for layers whose output channels were divided, what
/// each was divided by; layers that are there already are divided once more.
using OutputScales = llvm::DenseMap<mlir::Operation *, std::vector<float>>;
mlir::FailureOr<FoldedInto>
foldInputScales(llvm::ArrayRef<QuantizableOpInterface> layers,
                llvm::ArrayRef<float> scales,
                OutputScales *outputScales = nullptr);

/// Why a layer can't have scales of input channels; empty if it can.
std::string getObjectionToScales(QuantizableOpInterface op);
/// Channels of a layer's activations: columns of its weight, or for a
/// convolution input channels.
int64_t getNumInputChannels(QuantizableOpInterface op);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_FOLDSCALES_H
