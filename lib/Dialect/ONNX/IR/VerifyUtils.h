//===- VerifyUtils.h - Checks that several verifiers share ------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_IR_VERIFYUTILS_H
#define NIBBLE_LIB_DIALECT_ONNX_IR_VERIFYUTILS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/StringExtras.h"

namespace nibble::onnx {

/// The rank of a tensor if it is known.
inline std::optional<int64_t> getRank(mlir::Value value) {
  if (auto type = llvm::dyn_cast<mlir::RankedTensorType>(value.getType()))
    return type.getRank();
  return std::nullopt;
}

/// Checks that a string attribute has one of the values that are defined.
inline llvm::LogicalResult
verifyChoice(mlir::Operation *op, llvm::StringRef attribute,
             llvm::StringRef value, llvm::ArrayRef<llvm::StringRef> choices) {
  if (llvm::is_contained(choices, value))
    return llvm::success();
  return op->emitOpError() << attribute << " is '" << value
                           << "', expected one of "
                           << llvm::join(choices, ", ");
}

/// Checks that `axis` is in [-rank, rank) where the rank is known.
inline llvm::LogicalResult verifyAxis(mlir::Operation *op, int64_t axis,
                                      std::optional<int64_t> rank) {
  if (!rank || (axis >= -*rank && axis < *rank))
    return llvm::success();
  return op->emitOpError() << "axis is " << axis << ", expected " << -*rank
                           << " to " << *rank - 1 << " for rank " << *rank;
}

/// Checks a lower bound of an integer attribute.
inline llvm::LogicalResult verifyAtLeast(mlir::Operation *op,
                                         llvm::StringRef attribute,
                                         int64_t value, int64_t minimum) {
  if (value >= minimum)
    return llvm::success();
  return op->emitOpError() << attribute << " is " << value
                           << ", expected at least " << minimum;
}

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_IR_VERIFYUTILS_H
