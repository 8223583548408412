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
// ObserveOp
//===----------------------------------------------------------------------===//

LogicalResult ObserveOp::verify() {
  int64_t id = getId();
  if (id < 0)
    return emitOpError("expected an id of at least 0, got ") << id;
  return success();
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
static void setQuantized(OpTy op, const QuantizedWeightValues &values,
                         SchemeAttr scheme) {
  op.getWeightMutable().assign(values.codes);
  auto assign = [](MutableOperandRange range, Value value) {
    if (value)
      range.assign(value);
    else
      range.clear();
  };
  assign(op.getScalesMutable(), values.scales);
  assign(op.getZerosMutable(), values.zeros);
  assign(op.getGroupIndexMutable(), values.groupIndex);
  assign(op.getSecondMutable(), values.second);
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
  void OP::setQuantizedWeight(const QuantizedWeightValues &values,             \
                              SchemeAttr scheme) {                             \
    setQuantized(*this, values, scheme);                                       \
  }                                                                            \
  QuantizedWeightValues OP::getQuantizedWeight() {                             \
    return {getWeight(), getScales(), getZeros(), getGroupIndex(),             \
            getSecond()};                                                      \
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

void QuantizeOutliersOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  getFusedEffects(
      *this, {getCodesOut(), getScalesOut(), getColumnsOut(), getCountOut()},
      effects);
}

void MatMulOutliersOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  getFusedEffects(*this, {getOuts()}, effects);
}

void ObserveOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  getFusedEffects(*this, {}, effects);
  effects.emplace_back(MemoryEffects::Write::get());
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
