//===- ONNXTrainingOps.cpp - Losses and optimizers ------------------------===//
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
#include "nibble/Dialect/ONNX/IR/ONNXTrainingOps.cpp.inc"

void ONNXDialect::registerTrainingOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXTrainingOps.cpp.inc"
      >();
}

LogicalResult NegativeLogLikelihoodLossOp::verify() {
  return verifyChoice(*this, "reduction", getReduction(),
                      {"none", "sum", "mean"});
}

LogicalResult SoftmaxCrossEntropyLossOp::verify() {
  return verifyChoice(*this, "reduction", getReduction(),
                      {"none", "sum", "mean"});
}
