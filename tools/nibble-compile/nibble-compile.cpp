//===- nibble-compile.cpp - A model to a quantized native binary -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/CompileMain.h"

int main(int argc, char **argv) { return nibble::compileMain(argc, argv); }
