//===- LinalgKernel.h -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CUDA_LINALGKERNEL_H
#define NIBBLE_CODEGEN_CUDA_LINALGKERNEL_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <string>

namespace nibble::codegen::cuda {

/// Why an operation on memrefs can't be a kernel of buildLinalgKernel; empty if
/// it can.
std::string whyNotOnDevice(mlir::linalg::GenericOp op);

/// A kernel and what it is launched with.
struct LinalgKernel {
  mlir::gpu::GPUFuncOp function;
  /// Operands of the operation and what its body uses, but for constants.
  llvm::SmallVector<mlir::Value> arguments;
  /// See getBlocks; made where `host` inserts.
  mlir::Value blocks;
};

/// Add a kernel that computes `op` to `module`. A thread computes an element of
/// the outputs: it goes along the reduced dimensions by itself, in order. If
/// the last of them is contiguous in an input, long, and summed up by one
/// operation, the 32 lanes of a warp share the element; they add up their parts
/// in an order of their own. Grids of any size compute everything.
LinalgKernel buildLinalgKernel(mlir::OpBuilder &host,
                               mlir::gpu::GPUModuleOp module,
                               mlir::linalg::GenericOp op,
                               llvm::StringRef name);

} // namespace nibble::codegen::cuda

#endif // NIBBLE_CODEGEN_CUDA_LINALGKERNEL_H
