//===- BlockRunner.cpp - Run a model piece by piece -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/BlockRunner.h"

using namespace nibble::calibration;

BlockLoss::~BlockLoss() = default;
BlockRunner::~BlockRunner() = default;

llvm::Expected<std::unique_ptr<BlockLoss>>
BlockRunner::createLoss(unsigned, llvm::ArrayRef<unsigned>) {
  return llvm::createStringError("the derivatives of the model are not known");
}
