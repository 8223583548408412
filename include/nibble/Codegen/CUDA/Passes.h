//===- Passes.h -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CUDA_PASSES_H
#define NIBBLE_CODEGEN_CUDA_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace nibble::codegen::cuda {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "nibble/Codegen/CUDA/CodegenCUDA.h.inc"

/// Name of the `gpu.module` with the kernels of a model, and of the
/// `gpu.binary` that it becomes.
inline constexpr llvm::StringLiteral kernelModuleName = "nibble_kernels";
/// On a kernel: a character for each argument, see convert-nibble-to-cuda.
inline constexpr llvm::StringLiteral accessAttrName = "nibble.access";
/// On a kernel: bytes of dynamic shared memory of each launch, if any.
inline constexpr llvm::StringLiteral sharedBytesAttrName =
    "nibble.shared_bytes";
/// On the module: what nibble-lower-launches leaves for the packager.
inline constexpr llvm::StringLiteral kernelsAttrName = "nibble.kernels";
/// On a `nibble.weight`: a kernel reads it.
inline constexpr llvm::StringLiteral onDeviceAttrName = "nibble.on_device";

/// Bufferized operations to launches of kernels, and what is left for the host
/// to such that tells the runtime: `nibble-lower-to-cuda`.
void populateCudaPipeline(mlir::OpPassManager &pm);

/// Launches to calls of the runtime, kernels to NVVM: `nibble-lower-to-nvvm`.
/// Comes before the lowering of the host's code.
void populateNVVMPipeline(mlir::OpPassManager &pm);

/// Registers the passes and the pipelines above by name.
void registerCodegenCUDA();

} // namespace nibble::codegen::cuda

#endif // NIBBLE_CODEGEN_CUDA_PASSES_H
