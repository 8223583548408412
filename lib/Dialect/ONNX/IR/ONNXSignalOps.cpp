//===- ONNXSignalOps.cpp - Signals and random numbers ---------------------===//
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
#include "nibble/Dialect/ONNX/IR/ONNXSignalOps.cpp.inc"

void ONNXDialect::registerSignalOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXSignalOps.cpp.inc"
      >();
}
