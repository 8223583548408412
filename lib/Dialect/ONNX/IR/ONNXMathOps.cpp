//===- ONNXMathOps.cpp - Elementwise operators ----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyUtils.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXMathOps.cpp.inc"

void ONNXDialect::registerMathOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXMathOps.cpp.inc"
      >();
}

LogicalResult GeluOp::verify() {
  return verifyChoice(*this, "approximate", getApproximate(), {"none", "tanh"});
}

LogicalResult BitShiftOp::verify() {
  return verifyChoice(*this, "direction", getDirection(), {"LEFT", "RIGHT"});
}

//===----------------------------------------------------------------------===//
// Variadic operators
//===----------------------------------------------------------------------===//

static LogicalResult verifyHasOperands(Operation *op) {
  if (op->getNumOperands() > 0)
    return success();
  return op->emitOpError("has no operands, expected one or more");
}

LogicalResult MaxOp::verify() { return verifyHasOperands(*this); }
LogicalResult MinOp::verify() { return verifyHasOperands(*this); }
LogicalResult SumOp::verify() { return verifyHasOperands(*this); }
LogicalResult MeanOp::verify() { return verifyHasOperands(*this); }

/// One operand: the operator does nothing.
static OpFoldResult foldSingleOperand(Operation *op) {
  if (op->getNumOperands() == 1 &&
      op->getOperand(0).getType() == op->getResult(0).getType())
    return op->getOperand(0);
  return {};
}

OpFoldResult MaxOp::fold(FoldAdaptor) { return foldSingleOperand(*this); }
OpFoldResult MinOp::fold(FoldAdaptor) { return foldSingleOperand(*this); }
OpFoldResult SumOp::fold(FoldAdaptor) { return foldSingleOperand(*this); }
OpFoldResult MeanOp::fold(FoldAdaptor) { return foldSingleOperand(*this); }

//===----------------------------------------------------------------------===//
// Arithmetic with a neutral element
//===----------------------------------------------------------------------===//

/// Whether all elements of a constant are `value`.
static bool isSplatOf(Attribute attr, double value) {
  auto dense = dyn_cast_if_present<DenseElementsAttr>(attr);
  if (!dense || !dense.isSplat())
    return false;
  if (isa<FloatType>(dense.getElementType()))
    return dense.getSplatValue<APFloat>().convertToDouble() == value;
  if (isa<IntegerType>(dense.getElementType()))
    return dense.getSplatValue<APInt>() == static_cast<uint64_t>(value);
  return false;
}

/// `kept` if the other operand is neutral and broadcasting changes nothing.
static OpFoldResult foldNeutral(Value kept, Attribute other, double neutral,
                                Type result) {
  return kept.getType() == result && isSplatOf(other, neutral)
             ? OpFoldResult(kept)
             : OpFoldResult();
}

OpFoldResult AddOp::fold(FoldAdaptor adaptor) {
  // x + 0.0 is not x for x = -0.0, which no one tells apart in a network, but
  // the compiler keeps to the definition: only -0.0 is neutral.
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(getType()));
  if (isFloat)
    return {};
  if (OpFoldResult kept = foldNeutral(getA(), adaptor.getB(), 0, getType()))
    return kept;
  return foldNeutral(getB(), adaptor.getA(), 0, getType());
}

OpFoldResult SubOp::fold(FoldAdaptor adaptor) {
  return foldNeutral(getA(), adaptor.getB(), 0, getType());
}

OpFoldResult MulOp::fold(FoldAdaptor adaptor) {
  if (OpFoldResult kept = foldNeutral(getA(), adaptor.getB(), 1, getType()))
    return kept;
  return foldNeutral(getB(), adaptor.getA(), 1, getType());
}

OpFoldResult DivOp::fold(FoldAdaptor adaptor) {
  return foldNeutral(getA(), adaptor.getB(), 1, getType());
}
