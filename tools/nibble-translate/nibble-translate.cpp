//===- nibble-translate.cpp - Files to IR and back ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/Translate.h"
#include "nibble/Format/TranslateMain.h"

int main(int argc, char **argv) {
  nibble::format::registerONNXTranslations();
  return nibble::translateMain(argc, argv);
}
