//===- FuzzIR.cpp - Any bytes as textual IR -------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FuzzSupport.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include <cstring>

using namespace mlir;
using namespace nibble;

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  // What `#nibble.mapped<"weights.bin", ...>` of the seeds refers to.
  fuzz::writeScratchFile("weights.bin", std::string(4096, '\1'));
  return 0;
}

static std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module->print(os, OpPrintingFlags().useLocalScope());
  return text;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz::QuietContext context;
  context.next();
  auto *dialect = context.get()->getOrLoadDialect<NibbleDialect>();
  dialect->getFileMap().addSearchDirectory(fuzz::getScratchFolder());
  ParserConfig config(context.get());
  // A copy, which ends in the zero that the lexer looks for. A zero before ends
  // the text as well.
  std::string text(reinterpret_cast<const char *>(data), size);
  text.resize(std::strlen(text.c_str()));
  auto module = parseSourceString<ModuleOp>(text, config);
  if (!module) {
    if (context.getNumErrors() == 0)
      fuzz::fail("a text was refused without a message");
    return 0;
  }
  PassManager passes(context.get(), ModuleOp::getOperationName());
  passes.addPass(createCanonicalizerPass());
  if (failed(passes.run(*module)) && context.getNumErrors() == 0)
    fuzz::fail("canonicalize failed without a message");
  if (context.getNumErrors())
    return 0;
  std::string printed = print(*module);
  auto again = parseSourceString<ModuleOp>(printed, config);
  if (!again)
    fuzz::fail("printed but not read: " + context.getLastError() + "\n" +
               printed);
  return 0;
}
