//===- TranslateMain.cpp - The driver of nibble-translate -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/TranslateMain.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/ToolUtilities.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "nibble/Support/AtomicFile.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
namespace cl = llvm::cl;

namespace nibble {
namespace {

struct Options {
  cl::opt<std::string> input{cl::Positional, cl::desc("<input file>"),
                             cl::init("-")};
  cl::opt<std::string> output{"o", cl::desc("Output file"),
                              cl::value_desc("file"), cl::init("-")};
  cl::opt<bool> allowUnregistered{
      "allow-unregistered-dialect",
      cl::desc("Allow operations of dialects that are not registered")};
  cl::opt<bool> split{"split-input-file",
                      cl::desc("Translate each part of the input, split at "
                               "'// -----', on its own")};
  cl::opt<bool> verifyDiagnostics{
      "verify-diagnostics",
      cl::desc("Check that the diagnostics are those of expected-* comments")};
  cl::opt<const Translation *, false, TranslationParser> translation{
      "", cl::desc("Translation to perform"), cl::Required};
};

LogicalResult translate(const Options &options,
                        std::unique_ptr<llvm::MemoryBuffer> buffer,
                        llvm::raw_ostream &os) {
  auto sourceMgr = std::make_shared<llvm::SourceMgr>();
  sourceMgr->AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  MLIRContext context;
  context.allowUnregisteredDialects(options.allowUnregistered);
  context.printOpOnDiagnostic(!options.verifyDiagnostics);
  if (options.verifyDiagnostics) {
    SourceMgrDiagnosticVerifierHandler handler(*sourceMgr, &context);
    (void)(*options.translation)(sourceMgr, os, &context);
    return handler.verify();
  }
  SourceMgrDiagnosticHandler handler(*sourceMgr, &context);
  return (*options.translation)(sourceMgr, os, &context);
}

int report(const llvm::Twine &message) {
  llvm::WithColor::error(llvm::errs()) << message << "\n";
  return 1;
}

int run(const Options &options) {
  // Text must end in a zero for the parser; bytes need not, and a file of whole
  // pages would be copied for it.
  bool isText = !options.translation->getInputAlignment();
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(
      options.input, /*IsText=*/false, /*RequiresNullTerminator=*/isText);
  if (!buffer)
    return report("can't open '" + options.input +
                  "': " + buffer.getError().message());
  auto process = [&](llvm::raw_ostream &os) {
    if (!options.split)
      return translate(options, std::move(*buffer), os);
    return splitAndProcessBuffer(
        std::move(*buffer),
        [&](std::unique_ptr<llvm::MemoryBuffer> chunk, llvm::raw_ostream &out) {
          return translate(options, std::move(chunk), out);
        },
        os, kDefaultSplitMarker, kDefaultSplitMarker);
  };
  if (options.output == "-") {
    bool failedToRun = failed(process(llvm::outs()));
    llvm::outs().flush();
    std::error_code error = llvm::outs().error();
    llvm::outs().clear_error();
    if (error)
      return report("can't write to standard output: " + error.message());
    return failedToRun;
  }
  llvm::Expected<AtomicFile> file = AtomicFile::create(options.output);
  if (!file)
    return report(toString(file.takeError()));
  if (failed(process(file->os())))
    return 1;
  if (llvm::Error error = file->commit())
    return report(toString(std::move(error)));
  return 0;
}

} // namespace

int translateMain(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  Options options;
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerTranslationCLOptions();
  // With a stream of its own, the parser returns instead of exiting with 1.
  if (!cl::ParseCommandLineOptions(argc, argv, "Nibble translation driver\n",
                                   &llvm::errs()))
    return 2;
  return run(options);
}

} // namespace nibble
