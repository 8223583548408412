//===- Launch.h - Making and launching kernels -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CUDA_LAUNCH_H
#define NIBBLE_CODEGEN_CUDA_LAUNCH_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace nibble::codegen::cuda {

/// Threads of a block of the kernels that go through their elements by number.
inline constexpr int64_t threadsPerBlock = 256;

/// A kernel without body at the end of `module`, with blocks of
/// `threadsPerBlock`. `access` has a character for each argument: see
/// convert-nibble-to-cuda.
mlir::gpu::GPUFuncOp createKernel(mlir::gpu::GPUModuleOp module,
                                  mlir::Location loc, llvm::StringRef name,
                                  mlir::TypeRange arguments,
                                  llvm::StringRef access);

/// The numbers that a thread takes: `first`, and each that is `step` further.
struct GridStride {
  mlir::Value first, step;
};
GridStride getGridStride(mlir::OpBuilder &b, mlir::Location loc);

/// Blocks that `threads` threads take; fewer if only their start would cost
/// time, since kernels go through all elements with any number. 0 for none.
mlir::Value getBlocks(mlir::OpBuilder &b, mlir::Location loc,
                      mlir::Value threads);

/// Launches such a kernel.
void createLaunch(mlir::OpBuilder &b, mlir::Location loc,
                  mlir::gpu::GPUFuncOp kernel, mlir::Value blocks,
                  mlir::ValueRange arguments);

} // namespace nibble::codegen::cuda

#endif // NIBBLE_CODEGEN_CUDA_LAUNCH_H
