//===- FuzzONNX.cpp - Any bytes as an ONNX model --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FuzzSupport.h"
#include "WireMutator.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Format/ONNX/Import.h"
#include "nibble/Pipelines/InitNibble.h"
#include "nibble/Pipelines/Pipelines.h"

using namespace mlir;
using namespace nibble;

static LogicalResult compile(MLIRContext *context, StringRef path) {
  // The folder also has a file that external data may name.
  OwningOpRef<ModuleOp> module = format::importONNX(path, context);
  if (!module)
    return failure();
  PassManager passes(context, ModuleOp::getOperationName());
  buildOnnxPipeline(passes, OnnxPipelineOptions());
  if (failed(passes.run(*module)))
    return failure();
  return verify(*module);
}

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  nibble::registerAllPasses();
  fuzz::writeScratchFile("weights.bin", std::string(4096, '\1'));
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz::QuietContext context;
  context.next();
  std::string path = fuzz::writeScratchFile(
      "model.onnx", StringRef(reinterpret_cast<const char *>(data), size));
  bool failed = mlir::failed(compile(context.get(), path));
  if (failed && context.getNumErrors() == 0)
    fuzz::fail("a model was refused without a message");
  if (!failed && context.getNumErrors() != 0)
    fuzz::fail("success in spite of an error: " + context.getLastError());
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t maxSize, unsigned seed) {
  return fuzz::mutateWire(data, size, maxSize, seed);
}
