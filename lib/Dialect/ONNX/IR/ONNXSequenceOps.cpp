//===- ONNXSequenceOps.cpp - Sequences, optionals and strings -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXSequenceOps.cpp.inc"

void ONNXDialect::registerSequenceOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXSequenceOps.cpp.inc"
      >();
}

LogicalResult SequenceEmptyOp::verify() {
  if (!getElementType(getContext(), getDtype()))
    return emitOpError() << "dtype is " << getDtype()
                         << ", which is not an ONNX type";
  return success();
}
