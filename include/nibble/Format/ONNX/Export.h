//===- Export.h - The onnx dialect to ONNX ----------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes a module that `onnx-normalize-opset` has been run on as an ONNX model.
// Weights are copied from where they are mapped to the output, never held in
// memory.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_FORMAT_ONNX_EXPORT_H
#define NIBBLE_FORMAT_ONNX_EXPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/LogicalResult.h"

namespace llvm {
class raw_ostream;
} // namespace llvm

namespace nibble::format {

/// Weights of more bytes than this are put in a file of their own, because
/// protobuf ends at 2 GiB.
inline constexpr uint64_t kMaxInlineWeights = uint64_t(3) << 29;

struct ExportOptions {
  enum class Data {
    /// In the model, or beside it above `kMaxInlineWeights`.
    Auto,
    Inline,
    /// In `<model>.data` beside the model.
    External
  };
  Data data = Data::Auto;
};

/// Writes `module` to the file `path`, under a temporary name until it is
/// whole. The operator set is the lowest of 25 to 28 that has all operators in
/// use: what they mean is the same, and ONNX Runtime takes it. Errors are
/// reported at the operation that can't be exported or, for the file, at the
/// module.
llvm::LogicalResult exportONNX(mlir::ModuleOp module, llvm::StringRef path,
                               const ExportOptions &options = {});

/// Writes `module` with all weights in the model to a stream.
llvm::LogicalResult exportONNX(mlir::ModuleOp module, llvm::raw_ostream &os);

} // namespace nibble::format

#endif // NIBBLE_FORMAT_ONNX_EXPORT_H
