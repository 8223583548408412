//===- nibble-reduce.cpp - Makes failing IR smaller -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/MLIRContext.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"
#include "nibble/Pipelines/InitNibble.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  nibble::registerAllDialects(registry);
  nibble::registerAllPasses();
  mlir::MLIRContext context(registry);
  return mlir::failed(mlir::mlirReduceMain(argc, argv, context));
}
