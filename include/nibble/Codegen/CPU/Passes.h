//===- Passes.h - Code for CPUs ---------------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_PASSES_H
#define NIBBLE_CODEGEN_CPU_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

/// Tensors to memrefs: `nibble-bufferize`. Linalg works in place on buffers
/// that die; constants and arguments of the entry are never written. Every
/// buffer is freed as soon as its last user is done.
void populateBufferizationPipeline(mlir::OpPassManager &pm);

/// Memrefs to vector, scf and memref: `nibble-lower-to-vector`. Parallel loops
/// are scf.parallel.
void populateKernelPipeline(mlir::OpPassManager &pm, const CpuTarget &target);

/// From there to the LLVM dialect: `nibble-lower-to-llvm`. Parallel loops
/// become OpenMP, memory comes from `_mlir_memref_to_llvm_aligned_alloc`,
/// failed checks call `nibble_rt_fail`.
void populateVectorToLLVMPipeline(mlir::OpPassManager &pm);

/// Registers the passes and the pipelines above by name.
void registerCodegenCPU();

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_PASSES_H
