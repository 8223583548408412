//===- SequenceParts.h - Sequences as tensors -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A sequence of tensors of rank R is two tensors: all elements one after the
// other (`data`, rank 1), and a row of R sizes for each tensor (`shapes`, i64).
// An optional tensor is a sequence of at most one; an optional sequence has a
// flag besides. Where a sequence is made of values that are known when the
// model is compiled, the list of them is kept, and the two tensors are only
// built if something needs them.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_SEQUENCEPARTS_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_SEQUENCEPARTS_H

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <optional>

namespace nibble::onnx {

/// A sequence or optional, taken apart.
struct Parts {
  mlir::Value data, shapes;
  /// i1: whether an optional sequence is there; null for other types.
  mlir::Value present;
  /// The tensors, where their number is known.
  std::optional<llvm::SmallVector<mlir::Value>> list;
  /// What all tensors have in common; without a rank if there never are any.
  mlir::TensorType type;

  int64_t getRank() const { return type.hasRank() ? type.getRank() : 0; }
  /// As many values as `getTypes` has types.
  llvm::SmallVector<mlir::Value> getValues() const;
  /// The types of the values that stand for a value of `type`.
  static llvm::SmallVector<mlir::Type> getTypes(mlir::Type type);
};

/// Builds the operations on sequences out of operations on tensors. Types of
/// results are left to shape inference.
class SequenceBuilder {
public:
  explicit SequenceBuilder(mlir::OpBuilder &builder, mlir::Location loc)
      : b(builder), loc(loc) {}

  /// Parts without tensors for a sequence or optional of `type`.
  Parts makeEmpty(mlir::Type type);
  /// Fills `data` and `shapes` from the list.
  void materialize(Parts &parts);

  mlir::Value getLength(Parts &parts);
  /// The tensor at a position; the check that there is one is Gather's.
  mlir::Value getAt(Parts &parts, mlir::Value position);
  /// A null position is the end.
  Parts insert(Parts parts, mlir::Value tensor, mlir::Value position);
  /// A null position is the last tensor.
  Parts erase(Parts parts, mlir::Value position);
  Parts split(SplitToSequenceOp op);
  mlir::Value concat(Parts &parts, int64_t axis, bool newAxis);
  /// A sequence for each result of a SequenceMap; the operands that are
  /// sequences have parts.
  llvm::SmallVector<Parts> map(SequenceMapOp op,
                               llvm::ArrayRef<std::optional<Parts>> operands);

  mlir::Value makeBool(bool value);
  mlir::Value makeInteger(int64_t value);

private:
  using Body = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      mlir::Value, mlir::ValueRange)>;

  template <typename OpTy, typename... Args>
  mlir::Value make(Args &&...args);
  mlir::Value makeIntegers(llvm::ArrayRef<int64_t> values);
  mlir::Value makeNone();
  mlir::Value asVector(mlir::Value scalar);
  mlir::Value gather(mlir::Value data, mlir::Value index);
  mlir::Value slice(mlir::Value data, mlir::Value begin, mlir::Value end,
                    int64_t axis = 0);
  mlir::Value joined(llvm::ArrayRef<mlir::Value> values, int64_t axis = 0);
  mlir::Value toScalar(mlir::Value position);
  mlir::Value flat(mlir::Value tensor);
  mlir::Value row(mlir::Value tensor);
  mlir::Value ends(Parts &parts);
  std::optional<int64_t> getPosition(const Parts &parts, mlir::Value position,
                                     int64_t count);
  /// A Loop of `count` iterations over carried values.
  mlir::ValueRange loop(mlir::Value count, mlir::ValueRange carried, Body body);

  mlir::OpBuilder &b;
  mlir::Location loc;
};

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_SEQUENCEPARTS_H
