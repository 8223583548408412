//===- NibbleDialect.cpp - Registration of the dialect -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"

using namespace mlir;
using namespace nibble;

#include "nibble/Dialect/Nibble/IR/NibbleDialect.cpp.inc"

void NibbleDialect::initialize() {
  fileMap = std::make_shared<FileMap>();
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/Nibble/IR/NibbleOps.cpp.inc"
      >();
}
