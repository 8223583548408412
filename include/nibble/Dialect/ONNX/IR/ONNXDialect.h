//===- ONNXDialect.h - The onnx dialect and its types -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXDIALECT_H
#define NIBBLE_DIALECT_ONNX_IR_ONNXDIALECT_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"

#include "nibble/Dialect/ONNX/IR/ONNXDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXTypes.h.inc"

namespace nibble::onnx {

/// The element type with the ONNX number `onnxType` (TensorProto.DataType:
/// 1 float, 7 int64, ...); null for a number that is not known.
mlir::Type getElementType(mlir::MLIRContext *context, int64_t onnxType);

/// The inverse of getElementType: the ONNX number of `type`, 0 if it has none.
int64_t getONNXType(mlir::Type type);

/// The tensor type about which nothing is known: tensor<*x!onnx.unknown>.
mlir::TensorType getUnknownTensorType(mlir::MLIRContext *context);

/// The type itself if it is a tensor's, or that of the tensors in a sequence or
/// optional; null for others.
mlir::TensorType getTensorPart(mlir::Type type);

/// The same kind of type around another tensor type.
mlir::Type replaceTensorPart(mlir::Type type, mlir::TensorType tensor);

/// Whether 64 bits hold the number of bytes of a tensor of these sizes; dynamic
/// ones count as 1. Types for which they do not can be written in a model, but
/// nothing can be done with their values.
bool isAddressable(llvm::ArrayRef<int64_t> shape);

} // namespace nibble::onnx

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXDIALECT_H
