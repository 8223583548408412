//===- QuantizationForms.h - What bytes may pass through --------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_QUANTIZATIONFORMS_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_QUANTIZATIONFORMS_H

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include <optional>

namespace nibble::onnx {

/// The number that a constant of one element holds.
std::optional<double> getElement(mlir::Value value);

/// Whether `value` has exactly one element, known now.
bool hasOneElement(mlir::Value value);

/// Whether a DequantizeLinear or QuantizeLinear is between bytes and float32,
/// with one scale for the tensor.
bool isPerTensor(mlir::Operation *op);

/// The DequantizeLinear of bytes with one scale that makes `value`, if any.
DequantizeLinearOp getDequantize(mlir::Value value);

/// Operators that only move elements of operand 0, or choose among them in an
/// order that a positive scale keeps, and which ONNX has for bytes. Not Concat
/// and Pad, which have operands to be brought to one scale.
bool isMovement(mlir::Operation *op);

/// Padding that has a code of its own: with zeros, or with other elements.
bool isMovablePad(mlir::Operation *op);

/// The bounds of what an activation can give; the limits of `x` where it has
/// none. Nothing if they are not known: a Clip with computed bounds.
struct Bounds {
  double low, high;
};
std::optional<Bounds> getBounds(mlir::Operation *activation);

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_QUANTIZATIONFORMS_H
