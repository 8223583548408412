//===- IntegerValues.h - Quantized values in an ONNX graph ------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ONNX tells signed from unsigned bytes by type, our operations by attribute.
// Between the two, `builtin.unrealized_conversion_cast` says that the same
// bytes are meant; `convert-onnx-to-linalg` removes it with the unsigned types.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_INTEGERVALUES_H
#define NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_INTEGERVALUES_H

#include "mlir/IR/PatternMatch.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include <optional>

namespace nibble {

/// Bytes with scales and zero points.
struct QuantizedValue {
  mlir::Value codes, scale;
  /// Null if there is none.
  mlir::Value zero;
  /// The dimension that has a scale for each index; -1: one scale for all.
  int64_t axis = -1;

  mlir::RankedTensorType getType() const {
    return mlir::cast<mlir::RankedTensorType>(codes.getType());
  }
  bool isUnsigned() const {
    return getType().getElementType().isUnsignedInteger();
  }
};

/// Whether `type` is a ranked tensor of 8-bit integers.
bool isByteTensor(mlir::Type type);

/// Whether `value` has exactly one element, known now.
bool hasOneElement(mlir::Value value);

/// The bytes behind a float value: what its DequantizeLinear reads, without
/// blocks. Constant codes of fewer bits are widened by `builder`.
std::optional<QuantizedValue> getQuantized(mlir::OpBuilder &builder,
                                           mlir::Value value);

/// The codes of a constant or of a value as signless bytes.
mlir::Value toSignless(mlir::OpBuilder &builder, mlir::Value value);

/// Signless bytes as `type`, which is of the same shape.
mlir::Value fromSignless(mlir::OpBuilder &builder, mlir::Value value,
                         mlir::Type type);

/// A zero point as signless bytes; null where all of them are zero.
mlir::Value toZeroPoint(mlir::OpBuilder &builder, mlir::Value zero);

/// The elements of a small constant of floats, else nothing.
std::optional<llvm::SmallVector<float>> getFloats(mlir::Value value);

/// The element of a constant that has one, as a float, else nothing.
std::optional<float> getScalar(mlir::Value value);

/// True if `scale` is, up to rounding, the product of the constants `input`, of
/// one element, and `weight`.
bool isProductOfScales(mlir::Value scale, mlir::Value input,
                       mlir::Value weight);

} // namespace nibble

#endif // NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_INTEGERVALUES_H
