//===- TransformerWriter.h - Attention written as several -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_TRANSFORMERWRITER_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_TRANSFORMERWRITER_H

#include "OperatorWriter.h"

namespace nibble::onnx {

/// GroupQueryAttention of com.microsoft.
Decomposition decomposeGroupQuery(MicrosoftGroupQueryAttentionOp op);

/// What the decompositions of transformers' operators share.
class TransformerWriter : public OperatorWriter {
public:
  using OperatorWriter::OperatorWriter;

protected:
  /// Numbers of element types in ONNX.
  enum { kI32 = 6, kI64 = 7 };

  mlir::Type unknown() { return getUnknownTensorType(b.getContext()); }
  /// The type of a result that is only wanted where `given` is.
  mlir::Type unknownIf(bool given) {
    return given ? unknown() : b.getNoneType();
  }
  bool hasResult(unsigned i) {
    return !llvm::isa<mlir::NoneType>(op->getResultTypes()[i]);
  }
  mlir::Value number(int64_t value) {
    auto type = mlir::RankedTensorType::get({}, b.getI64Type());
    return onnx::ConstantOp::create(
        b, loc,
        mlir::DenseElementsAttr::get(type, llvm::ArrayRef<int64_t>{value}));
  }
  /// One dimension of `x`, as a vector of one element.
  mlir::Value sizeOf(mlir::Value x, int64_t dim) {
    return emit("Shape", x, {attr("start", dim), attr("end", dim + 1)});
  }
  mlir::Value toI64(mlir::Value x) {
    return emit("Cast", x, attr("to", int64_t(kI64)));
  }
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape) {
    return emit("Reshape", {x, integers(shape)});
  }
  mlir::Value concat(mlir::ValueRange parts, int64_t axis = 0) {
    return emit("Concat", parts, attr("axis", axis));
  }
  mlir::Value unsqueeze(mlir::Value x, llvm::ArrayRef<int64_t> axes) {
    return emit("Unsqueeze", {x, integers(axes)});
  }
  llvm::SmallVector<mlir::Value>
  split(mlir::Value x, llvm::ArrayRef<int64_t> sizes, int64_t axis) {
    return emit("Split", {x, integers(sizes)}, attr("axis", axis),
                llvm::SmallVector<mlir::Type>(sizes.size(), unknown()));
  }
  /// 0, 1, ... to the number in the vector `limit` of one element.
  mlir::Value countTo(mlir::Value limit) {
    return emit("Range", {number(0), reshape(limit, {}), number(1)});
  }
  /// (batch, length, heads * size) as (batch, heads, length, size), and back.
  mlir::Value splitHeads(mlir::Value x, int64_t heads, int64_t size) {
    return transpose(reshape(x, {0, 0, heads, size}), {0, 2, 1, 3});
  }
  mlir::Value joinHeads(mlir::Value x, int64_t width) {
    return reshape(transpose(x, {0, 2, 1, 3}), {0, 0, width});
  }

  /// The known size of the last dimension divided by `parts`; failure after a
  /// message if it is not known or cannot be divided.
  mlir::FailureOr<int64_t> getPart(llvm::StringRef what, mlir::Value x,
                                   int64_t parts);
};

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_TRANSFORMERWRITER_H
