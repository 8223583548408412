//===- OperatorWriter.h - One operator written as several -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_OPERATORWRITER_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_OPERATORWRITER_H

#include "Match.h"
#include "mlir/IR/Builders.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

namespace nibble::onnx {

/// The values in the place of an operator's results; nothing if the operator
/// stays, or failure after a message. A null value keeps an unused result.
using Decomposition =
    mlir::FailureOr<std::optional<llvm::SmallVector<mlir::Value>>>;

/// Attention, rotary embedding and normalization of com.microsoft.
Decomposition decomposeTransformer(mlir::Operation *op);

/// Writes standard operators before `op`. Result types are left to shape
/// inference.
class OperatorWriter {
public:
  explicit OperatorWriter(mlir::Operation *op)
      : op(op), b(op), loc(op->getLoc()) {}

protected:
  using Attributes = llvm::ArrayRef<mlir::NamedAttribute>;

  llvm::SmallVector<mlir::Value> emit(llvm::StringRef name,
                                      mlir::ValueRange operands,
                                      Attributes attrs, mlir::TypeRange types) {
    mlir::OperationState state(loc, ("onnx." + name).str());
    state.addOperands(operands);
    state.addAttributes(attrs);
    state.addTypes(types);
    return b.create(state)->getResults();
  }
  mlir::Value emit(llvm::StringRef name, mlir::ValueRange operands,
                   Attributes attrs = {}) {
    return emit(name, operands, attrs, getUnknownTensorType(b.getContext()))
        .front();
  }
  /// An operator that keeps the name of the layer and the attributes in `keep`.
  mlir::Value emitLayer(llvm::StringRef name, mlir::ValueRange operands,
                        llvm::ArrayRef<llvm::StringRef> keep = {},
                        Attributes attrs = {}) {
    return emit(name, operands, getLayerAttributes(keep, attrs));
  }
  llvm::SmallVector<mlir::NamedAttribute>
  getLayerAttributes(llvm::ArrayRef<llvm::StringRef> keep, Attributes attrs) {
    llvm::SmallVector<mlir::NamedAttribute> all(attrs);
    for (llvm::StringRef attr : keep)
      if (mlir::Attribute value = op->getAttr(attr))
        all.emplace_back(attr, value);
    if (mlir::Attribute layer = op->getAttr(ONNXDialect::kNameAttr))
      all.emplace_back(ONNXDialect::kNameAttr, layer);
    return all;
  }
  mlir::NamedAttribute attr(llvm::StringRef name, int64_t value) {
    return b.getNamedAttr(name, b.getI64IntegerAttr(value));
  }
  mlir::NamedAttribute attr(llvm::StringRef name,
                            llvm::ArrayRef<int64_t> value) {
    return b.getNamedAttr(name, b.getDenseI64ArrayAttr(value));
  }
  mlir::NamedAttribute attr(llvm::StringRef name, float value) {
    return b.getNamedAttr(name, b.getF32FloatAttr(value));
  }
  mlir::NamedAttribute attr(llvm::StringRef name, llvm::StringRef value) {
    return b.getNamedAttr(name, b.getStringAttr(value));
  }
  mlir::Value none() { return NoValueOp::create(b, loc, b.getNoneType()); }
  /// A scalar of the element type of `like`.
  mlir::Value scalar(double value, mlir::Value like) {
    auto element =
        llvm::cast<mlir::TensorType>(like.getType()).getElementType();
    auto type = mlir::RankedTensorType::get({}, element);
    mlir::Attribute number =
        llvm::isa<mlir::FloatType>(element)
            ? mlir::Attribute(b.getFloatAttr(element, value))
            : mlir::Attribute(b.getIntegerAttr(element, value));
    return onnx::ConstantOp::create(b, loc,
                                    mlir::DenseElementsAttr::get(type, number));
  }
  mlir::Value integers(llvm::ArrayRef<int64_t> values) {
    return makeIntegers(b, loc, values);
  }

  static bool has(mlir::Value value) {
    return !llvm::isa<mlir::NoneType>(value.getType());
  }
  mlir::Value in(unsigned i) { return op->getOperand(i); }
  static int64_t rankOf(mlir::Value value) {
    return llvm::cast<mlir::RankedTensorType>(value.getType()).getRank();
  }
  int64_t getInt(llvm::StringRef name, int64_t fallback) {
    auto value = op->getAttrOfType<mlir::IntegerAttr>(name);
    return value ? value.getInt() : fallback;
  }
  float getReal(llvm::StringRef name, float fallback) {
    auto value = op->getAttrOfType<mlir::FloatAttr>(name);
    return value ? value.getValueAsDouble() : fallback;
  }
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> perm) {
    return emit("Transpose", x, attr("perm", perm));
  }

  mlir::Operation *op;
  mlir::OpBuilder b;
  mlir::Location loc;
};

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_OPERATORWRITER_H
