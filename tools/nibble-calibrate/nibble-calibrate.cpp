//===- nibble-calibrate.cpp - Statistics of a model's values --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/CalibrateMain.h"

int main(int argc, char **argv) { return nibble::calibrateMain(argc, argv); }
