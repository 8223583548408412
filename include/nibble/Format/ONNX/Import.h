//===- Import.h - ONNX to the onnx dialect ----------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The importer knows no operator: names, operand counts and regions come from
// the operations that are registered with the context.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_FORMAT_ONNX_IMPORT_H
#define NIBBLE_FORMAT_ONNX_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBufferRef.h"
#include <string>
#include <utility>
#include <vector>

namespace nibble::format {

/// The newest ONNX release whose files are understood.
inline constexpr int64_t kMaxIRVersion = 14;
inline constexpr int64_t kMaxOpsetVersion = 28;

struct ImportOptions {
  /// Symbolic dimensions to fix, by name. A name that the model does not have
  /// is an error.
  std::vector<std::pair<std::string, int64_t>> dims;
};

/// Parses the value of a `--dim` option, "NAME=N" with N >= 0.
llvm::Expected<std::pair<std::string, int64_t>> parseDim(llvm::StringRef text);

/// Imports the ONNX model `path`. The module holds one function named after the
/// graph's role, `@main_graph`; every operator is an `onnx.<OpType>` operation
/// whose location and `onnx.name` are its layer name (the node's name if it has
/// one that is unique, else the name of its first output). Initializers become
/// `onnx.Constant`, also those that are declared as graph inputs. Data above
/// 256 bytes is referred to in the file (`#nibble.mapped`). Null after an
/// error, which has been reported through the context.
mlir::OwningOpRef<mlir::ModuleOp> importONNX(llvm::StringRef path,
                                             mlir::MLIRContext *context,
                                             const ImportOptions &options = {});

/// The same for a model in memory that has no file; its tensors must be small.
mlir::OwningOpRef<mlir::ModuleOp> importONNX(llvm::MemoryBufferRef buffer,
                                             mlir::MLIRContext *context,
                                             const ImportOptions &options = {});

} // namespace nibble::format

#endif // NIBBLE_FORMAT_ONNX_IMPORT_H
