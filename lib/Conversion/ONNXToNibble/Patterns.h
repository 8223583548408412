//===- Patterns.h - What the patterns of the room share ---------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_PATTERNS_H
#define NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_PATTERNS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "nibble/Dialect/ONNX/IR/Window.h"

namespace nibble {

/// The layer name of an ONNX operator as the list that the dialect keeps.
mlir::ArrayAttr getLayers(mlir::Operation *op);

/// Gives `product` what is known about the layer that it computes for `op`: its
/// report, and its operator type where the operation has another name.
void copyReport(mlir::Operation *op, mlir::Operation *product);

/// A ranked tensor of float32, which is what the kernels compute with, or null.
mlir::RankedTensorType getFloatTensor(mlir::Value value);

/// The window of a convolution of 1 to 3 dimensions with `auto_pad` worked out.
/// Failure without a message if it depends on sizes that are only known at run
/// time, or pads by less than nothing.
mlir::FailureOr<onnx::WindowAttrs> getConvWindow(mlir::Operation *op,
                                                 mlir::RankedTensorType input,
                                                 mlir::RankedTensorType weight);

/// Fails, with a message, if an embedding with a quantized table is left.
mlir::LogicalResult refuseBlockTables(mlir::Operation *root);

} // namespace nibble

#endif // NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_PATTERNS_H
