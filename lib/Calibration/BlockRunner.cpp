//===- BlockRunner.cpp - Run a model piece by piece -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/BlockRunner.h"

nibble::calibration::BlockRunner::~BlockRunner() = default;
