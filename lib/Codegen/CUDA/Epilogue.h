//===- Epilogue.h - What happens to sums before they are stored ---*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CODEGEN_CUDA_EPILOGUE_H
#define NIBBLE_LIB_CODEGEN_CUDA_EPILOGUE_H

#include "KernelEmitter.h"

namespace nibble::codegen::cuda {

/// Finishes sums and stores them in a matrix [rows, n] of `kind`.
struct ResultWriter {
  KernelEmitter &e;
  Epilogue epilogue;
  FloatKind kind;
  int64_t n;
  mlir::Value bias, residual, output;

  /// Stores the f32 sums of neighbouring channels of a row, from `channel` on,
  /// which is a multiple of their number; those from n on are left out.
  void write(mlir::Value row, mlir::Value channel, mlir::ValueRange sums);
};

} // namespace nibble::codegen::cuda

#endif // NIBBLE_LIB_CODEGEN_CUDA_EPILOGUE_H
