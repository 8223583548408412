//===- nibble-opt.cpp - Passes on textual IR -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "nibble/Pipelines/InitNibble.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  nibble::registerAllDialects(registry);
  nibble::registerAllPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Nibble pass driver\n", registry));
}
