//===- ONNXReductionOps.cpp - Reductions and normalized exponentials ------===//
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
#include "nibble/Dialect/ONNX/IR/ONNXReductionOps.cpp.inc"

void ONNXDialect::registerReductionOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXReductionOps.cpp.inc"
      >();
}

LogicalResult ArgMaxOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getData()));
}
LogicalResult ArgMinOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getData()));
}
LogicalResult TopKOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getX()));
}
LogicalResult SoftmaxOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getInput()));
}
LogicalResult LogSoftmaxOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getInput()));
}
LogicalResult HardmaxOp::verify() {
  return verifyAxis(*this, getAxis(), getRank(getInput()));
}
