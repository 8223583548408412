//===- FuzzSupport.h - What the fuzz targets share --------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_FUZZ_FUZZSUPPORT_H
#define NIBBLE_TEST_FUZZ_FUZZSUPPORT_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include <memory>
#include <string>

namespace nibble::fuzz {

/// Ends the process as a crash does: the input is kept as a find.
[[noreturn]] void fail(const llvm::Twine &what);

/// A folder of this process in $TMPDIR, removed at its end.
const std::string &getScratchFolder();

/// Writes `bytes` to the file `name` of the scratch folder; returns its path.
std::string writeScratchFile(llvm::StringRef name, llvm::StringRef bytes);

/// A context with our dialects and `func`, in which every error is counted and
/// none is printed. What it knows of earlier inputs is thrown away now and
/// then: one for each input would take longer than the input.
class QuietContext {
public:
  QuietContext();
  ~QuietContext();

  mlir::MLIRContext *get() { return context.get(); }
  /// Errors since the last call of `next`.
  unsigned getNumErrors() const { return errors; }
  const std::string &getLastError() const { return lastError; }
  /// To be called before each input.
  void next();

private:
  void create();

  std::unique_ptr<mlir::MLIRContext> context;
  std::unique_ptr<mlir::ScopedDiagnosticHandler> handler;
  unsigned errors = 0;
  unsigned inputs = 0;
  std::string lastError;
};

} // namespace nibble::fuzz

#endif // NIBBLE_TEST_FUZZ_FUZZSUPPORT_H
