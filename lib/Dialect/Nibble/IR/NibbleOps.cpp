//===- NibbleOps.cpp - Operations on quantized tensors -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

using namespace mlir;
using namespace nibble;

#include "nibble/Dialect/Nibble/IR/NibbleInterfaces.cpp.inc"

#define GET_OP_CLASSES
#include "nibble/Dialect/Nibble/IR/NibbleOps.cpp.inc"

StringRef QuantizableOpInterface::getLayerName() {
  ArrayAttr layers = getLayers();
  if (!layers || layers.empty())
    return "";
  return cast<StringAttr>(layers[0]).getValue();
}

//===----------------------------------------------------------------------===//
// ConstantOp
//===----------------------------------------------------------------------===//

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

StringRef ConstantOp::getName() {
  auto name =
      (*this)->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
  return name ? name.getValue() : "";
}

//===----------------------------------------------------------------------===//
// What the fused operations share
//===----------------------------------------------------------------------===//

/// On memrefs every operand is read and `outs` is written; on tensors the
/// operations are pure.
static void getFusedEffects(
    Operation *op, ArrayRef<Value> outs,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    if (llvm::is_contained(outs, operand.get()))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}

template <typename OpTy>
static void setQuantized(OpTy op, Value codes, Value scales, Value zeros,
                         Value groupIndex, SchemeAttr scheme) {
  op.getWeightMutable().assign(codes);
  auto assign = [](MutableOperandRange range, Value value) {
    if (value)
      range.assign(value);
    else
      range.clear();
  };
  assign(op.getScalesMutable(), scales);
  assign(op.getZerosMutable(), zeros);
  assign(op.getGroupIndexMutable(), groupIndex);
  op.setSchemeAttr(scheme);
}

/// The operator that the model had: a Gemm is a matrix product here.
static StringRef getOperatorTypeOr(Operation *op, StringRef usual) {
  auto type =
      op->getAttrOfType<StringAttr>(NibbleDialect::getOperatorTypeAttr());
  return type ? type.getValue() : usual;
}

#define NIBBLE_FUSED_METHODS(OP, TYPE)                                         \
  void OP::getEffects(                                                         \
      SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>      \
          &effects) {                                                          \
    getFusedEffects(*this, {getOuts()}, effects);                              \
  }                                                                            \
  OpOperand &OP::getWeightOperand() { return getWeightMutable(); }             \
  StringRef OP::getOperatorType() { return getOperatorTypeOr(*this, TYPE); }   \
  void OP::setQuantizedWeight(Value codes, Value scales, Value zeros,          \
                              Value groupIndex, SchemeAttr scheme) {           \
    setQuantized(*this, codes, scales, zeros, groupIndex, scheme);             \
  }

NIBBLE_FUSED_METHODS(MatMulOp, "MatMul")
NIBBLE_FUSED_METHODS(ConvOp, "Conv")
NIBBLE_FUSED_METHODS(GatherOp, "Gather")
#undef NIBBLE_FUSED_METHODS

void MatMulIntegerOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  getFusedEffects(*this, {getOuts()}, effects);
}

void ConvIntegerOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  getFusedEffects(*this, {getOuts()}, effects);
}

void QuantizeDynamicOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  getFusedEffects(*this, {getCodesOut(), getScalesOut(), getZerosOut()},
                  effects);
}

void AttentionOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  getFusedEffects(*this, {getOuts()}, effects);
}

Value MatMulOp::getActivationInput() { return getInput(); }
Value ConvOp::getActivationInput() { return getInput(); }
Value GatherOp::getActivationInput() { return {}; }

WeightView MatMulOp::getWeightView() {
  int64_t n = getN(), k = getK();
  if (getTransposeWeight())
    return {n, k, k, 1};
  return {n, k, 1, n};
}

WeightView ConvOp::getWeightView() {
  ArrayRef<int64_t> shape = getWeightShape();
  int64_t k = 1;
  for (int64_t dim : shape.drop_front())
    k *= dim;
  return {shape[0], k, k, 1};
}

WeightView GatherOp::getWeightView() {
  int64_t rows = getRows(), width = getWidth();
  return {rows, width, width, 1};
}
