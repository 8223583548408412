//===- FuzzSupport.cpp - What the fuzz targets share ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FuzzSupport.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <unistd.h>

using namespace mlir;

namespace nibble::fuzz {

void fail(const llvm::Twine &what) {
  llvm::errs() << "find: " << what << '\n';
  std::abort();
}

const std::string &getScratchFolder() {
  static const std::string folder = [] {
    llvm::SmallString<128> path;
    llvm::sys::path::system_temp_directory(/*erasedOnReboot=*/true, path);
    llvm::sys::path::append(path, "nibble-fuzz-XXXXXX");
    std::string name = path.str().str();
    if (!::mkdtemp(name.data()))
      fail("can't make a folder like " + name);
    return name;
  }();
  static const int atExit = std::atexit(
      [] { llvm::sys::fs::remove_directories(getScratchFolder()); });
  (void)atExit;
  return folder;
}

std::string writeScratchFile(llvm::StringRef name, llvm::StringRef bytes) {
  llvm::SmallString<128> path(getScratchFolder());
  llvm::sys::path::append(path, name);
  std::error_code error;
  llvm::raw_fd_ostream os(path, error);
  os << bytes;
  os.close();
  if (error || os.has_error())
    fail("can't write " + path);
  return path.str().str();
}

QuietContext::QuietContext() { create(); }
QuietContext::~QuietContext() {
  handler.reset();
  context.reset();
}

void QuietContext::create() {
  handler.reset();
  context.reset();
  DialectRegistry registry;
  registry.insert<arith::ArithDialect, func::FuncDialect, NibbleDialect,
                  onnx::ONNXDialect>();
  context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->printOpOnDiagnostic(false);
  handler = std::make_unique<ScopedDiagnosticHandler>(
      context.get(), [this](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
          return;
        ++errors;
        // Formatting is part of what is tested.
        lastError = diagnostic.str();
        if (lastError.empty())
          fail("an error without a text");
      });
}

void QuietContext::next() {
  constexpr unsigned maxInputs = 200;
  if (++inputs > maxInputs) {
    create();
    inputs = 0;
  }
  errors = 0;
}

} // namespace nibble::fuzz
