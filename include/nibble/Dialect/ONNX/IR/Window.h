//===- Window.h - Attributes of convolutions and pools ----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Convolutions and pools slide a window over the spatial dimensions. Their
// attributes have the same names and defaults; whoever lowers them reads them
// here.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_WINDOW_H
#define NIBBLE_DIALECT_ONNX_IR_WINDOW_H

#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace nibble::onnx {

/// One entry for each spatial dimension, defaults filled in; `pads` has those
/// before all dimensions, then those after.
struct WindowAttrs {
  llvm::SmallVector<int64_t> kernel, strides, dilations, pads;
  llvm::StringRef autoPad = "NOTSET";
  bool ceilMode = false;

  /// Reads the attributes of `op`, whose kernel has the sizes `kernel`. A list
  /// of the wrong length is reported through `emit`.
  static mlir::FailureOr<WindowAttrs>
  get(mlir::Operation *op, llvm::ArrayRef<int64_t> kernel,
      llvm::function_ref<mlir::InFlightDiagnostic()> emit);

  /// An INTS attribute by name, if `op` has it.
  static std::optional<llvm::ArrayRef<int64_t>> getInts(mlir::Operation *op,
                                                        llvm::StringRef name);

  /// Whether padding follows from the size: auto_pad SAME_UPPER or SAME_LOWER.
  bool isSame() const { return autoPad.starts_with("SAME"); }
  /// Sets `pads` of spatial dimension `d` for an operand of this size.
  void resolveSamePadding(unsigned d, int64_t size);
  /// The number of windows along spatial dimension `d`.
  Dim getWindowCount(unsigned d, const Dim &size) const;
};

} // namespace nibble::onnx

#endif // NIBBLE_DIALECT_ONNX_IR_WINDOW_H
