//===- Translate.cpp - Translations of nibble-translate -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/Translate.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "nibble/Format/ONNX/Export.h"
#include "nibble/Format/ONNX/Import.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
namespace cl = llvm::cl;

namespace nibble::format {

static void registerDialects(DialectRegistry &registry) {
  registry.insert<func::FuncDialect, NibbleDialect, onnx::ONNXDialect>();
}

namespace {

using Dim = std::pair<std::string, int64_t>;

/// Reads the value of a `--dim` option.
struct DimParser : cl::parser<Dim> {
  using cl::parser<Dim>::parser;
  bool parse(cl::Option &option, StringRef name, StringRef text, Dim &value) {
    llvm::Expected<Dim> dim = parseDim(text);
    if (!dim)
      return option.error(toString(dim.takeError()));
    value = *dim;
    return false;
  }
};

} // namespace

void registerONNXTranslations() {
  static cl::list<Dim, bool, DimParser> dims(
      "dim", cl::desc("Fix the symbolic dimension NAME of an ONNX model"),
      cl::value_desc("NAME=N"));

  static TranslateToMLIRRegistration importRegistration(
      "import-onnx", "import an ONNX model to the onnx dialect",
      [](const std::shared_ptr<llvm::SourceMgr> &sourceMgr,
         MLIRContext *context) -> OwningOpRef<Operation *> {
        llvm::MemoryBufferRef buffer =
            sourceMgr->getMemoryBuffer(sourceMgr->getMainFileID())
                ->getMemBufferRef();
        StringRef name = buffer.getBufferIdentifier();
        ImportOptions options;
        options.dims.assign(dims.begin(), dims.end());
        // The weights stay in the file, so the file is what is imported.
        if (name == "<stdin>")
          return importONNX(buffer, context, options);
        return importONNX(name, context, options);
      },
      registerDialects, llvm::Align(1));

  static TranslateFromMLIRRegistration exportRegistration(
      "export-onnx", "export a normalized onnx module as an ONNX model",
      [](Operation *op, llvm::raw_ostream &os) -> LogicalResult {
        auto module = dyn_cast<ModuleOp>(op);
        if (!module)
          return op->emitError() << "expected a module to export";
        return exportONNX(module, os);
      },
      registerDialects);
}

} // namespace nibble::format
