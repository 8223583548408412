//===- PlainProducts.h - Products with a thread for each result -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CUDA_PLAINPRODUCTS_H
#define NIBBLE_CODEGEN_CUDA_PLAINPRODUCTS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "nibble/Codegen/CPU/ProductLowering.h"

namespace nibble::codegen::cuda {

/// Kernels for the fused family with any weight that the CPU's kernels read,
/// in the same order: weights in panels, of convolutions with groups in rows.
/// A thread computes one element of the result, in f32, and reads each weight
/// from its codes; neighbouring threads of a product read neighbouring channels
/// of a panel. Results differ from the CPU's by the order of the sum alone.
///
/// These are the kernels for shapes and formats that have no better ones.
class PlainProducts final : public ProductLowering {
public:
  explicit PlainProducts(mlir::gpu::GPUModuleOp module) : module(module) {}

  /// Why an operation has no such kernel; empty if it has one.
  static std::string whyNot(QuantizableOpInterface op);

  unsigned numKernels = 0, numLaunches = 0;

private:
  void call(mlir::Operation *op, llvm::StringRef name,
            llvm::ArrayRef<mlir::Value> memrefs,
            llvm::ArrayRef<mlir::Value> sizes, mlir::Value out,
            EmitBody emit) override;
  void emit(KernelBuilder &kernel, const MatMulSpec &spec,
            const MatMulArguments &arguments) override;
  void emit(KernelBuilder &kernel, const ConvSpec &spec,
            const ConvArguments &arguments) override;
  void emit(KernelBuilder &kernel, const GatherSpec &spec,
            const GatherArguments &arguments) override;

  mlir::gpu::GPUModuleOp module;
};

} // namespace nibble::codegen::cuda

#endif // NIBBLE_CODEGEN_CUDA_PLAINPRODUCTS_H
