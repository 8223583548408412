//===- RunMain.c - main of a compiled program -----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RunTool.h"

/// Defined by the compiler in every program that it makes.
extern const nibble_shared_model_entry nibble_shared_model;

int main(int argc, char **argv) {
  return nibbleRunMain(argc, argv, &nibble_shared_model);
}
