//===- Gradients.h - Cotangents of operators -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_GRADIENTS_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_GRADIENTS_H

#include "TransformerWriter.h"

namespace nibble::onnx {

/// The derivatives of one operator for reverse-mode differentiation. The
/// cotangent of a value is the derivative of the differentiated result with
/// respect to it, and has its shape.
///
/// Rules write standard operators, so that what they write can be
/// differentiated again, folded and compiled like any model.
class GradientWriter : public TransformerWriter {
public:
  /// Writes before `end`; `cotangents` has a value, or null for zero, for each
  /// result of `op`; `active` tells the operands that need one.
  GradientWriter(mlir::Operation *op, mlir::Operation *end,
                 llvm::ArrayRef<mlir::Value> cotangents,
                 llvm::ArrayRef<bool> active)
      : TransformerWriter(op), cotangents(cotangents), active(active),
        result(op->getNumOperands()) {
    b.setInsertionPoint(end);
  }

  /// The cotangents of the operands, null where they are zero or not active.
  /// Failure after a message that names the operator, if it has no derivative
  /// or the rule needs a size that is not known.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> write();

private:
  using Unary = mlir::Value (GradientWriter::*)();

  bool writeUnary(llvm::StringRef name);
  bool writeBinary(llvm::StringRef name);
  bool writeMovement(llvm::StringRef name);
  bool writeReduction(llvm::StringRef name);
  /// Products, normalizations, rotary embedding.
  bool writeProduct(llvm::StringRef name);
  bool writeNormalization(llvm::StringRef name);
  bool writeMatMul();
  bool writeGemm();
  bool writeConv();
  bool writeBatchNormalization();
  bool writePool();
  bool writeSlice();
  bool writeConcat();
  bool writeSplit();
  bool writeGather();

  mlir::Value add(mlir::Value x, mlir::Value y) { return emit("Add", {x, y}); }
  mlir::Value sub(mlir::Value x, mlir::Value y) { return emit("Sub", {x, y}); }
  mlir::Value mul(mlir::Value x, mlir::Value y) { return emit("Mul", {x, y}); }
  mlir::Value div(mlir::Value x, mlir::Value y) { return emit("Div", {x, y}); }
  mlir::Value mul(mlir::Value x, double y) { return mul(x, scalar(y, in(0))); }
  mlir::Value add(mlir::Value x, double y) { return add(x, scalar(y, in(0))); }
  mlir::Value zero() { return scalar(0.0, in(0)); }
  /// g where the condition holds, else 0.
  mlir::Value keepWhere(mlir::Value condition) {
    return emit("Where", {condition, g(), zero()});
  }
  mlir::Value shapeOf(mlir::Value x) { return emit("Shape", x); }
  /// `x` in the shape of `like`, of as many elements.
  mlir::Value reshapeLike(mlir::Value x, mlir::Value like) {
    return emit("Reshape", {x, shapeOf(like)}, attr("allowzero", int64_t(1)));
  }
  mlir::Value expandLike(mlir::Value x, mlir::Value like) {
    return emit("Expand", {x, shapeOf(like)});
  }
  mlir::Value sum(mlir::Value x, llvm::ArrayRef<int64_t> axes, bool keep) {
    return emit("ReduceSum", {x, integers(axes)},
                attr("keepdims", int64_t(keep)));
  }
  mlir::Value mean(mlir::Value x, llvm::ArrayRef<int64_t> axes) {
    return emit("ReduceMean", {x, integers(axes)});
  }
  /// The sum of `x`, which has the shape of `from`, over the dimensions in
  /// which `to` was repeated.
  mlir::Value sumTo(mlir::Value x, mlir::Value from, mlir::Value to);
  /// The last two dimensions exchanged.
  mlir::Value flip(mlir::Value x, int64_t rank);
  mlir::Value zerosLike(mlir::Value x);
  /// The cotangent of the only result.
  mlir::Value g() { return cotangents.front(); }
  mlir::Value out() { return op->getResult(0); }
  bool isActive(unsigned i) { return i < active.size() && active[i]; }
  mlir::RankedTensorType typeOf(mlir::Value x) { return getRanked(x); }
  /// Reports why there is no derivative.
  bool refuse(const llvm::Twine &reason);

  llvm::ArrayRef<mlir::Value> cotangents;
  llvm::ArrayRef<bool> active;
  llvm::SmallVector<mlir::Value> result;
  bool refused = false;
};

/// Writes attention as products and a Softmax, whose derivatives are known.
/// Failure after a message for a form that is not covered (windows, lengths of
/// padded keys, intermediate scores as a result).
mlir::LogicalResult expandAttention(AttentionOp op);

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_GRADIENTS_H
