//===- TiledProducts.h - Products by the kernels for tiles -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CUDA_TILEDPRODUCTS_H
#define NIBBLE_CODEGEN_CUDA_TILEDPRODUCTS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

namespace nibble::codegen::cuda {

/// Lowers `nibble.matmul` on memrefs, with a weight of codes in panels, to the
/// kernels of Kernels.h. The codes are packed again, in the order of
/// WeightLayout.h, as a constant of their own; scales and zero points have the
/// same order in both.
class TiledProducts {
public:
  explicit TiledProducts(mlir::gpu::GPUModuleOp module) : module(module) {}

  /// Whether there is a kernel: constant codes of 2, 3, 4 or 8 bits, integers
  /// or of a table, groups that are multiples of 16 or whole rows.
  static bool takes(MatMulOp op);
  /// Replaces an operation that `takes` takes. Error: its weight can't be read.
  llvm::LogicalResult convert(MatMulOp op);

  unsigned numKernels = 0, numLaunches = 0;

private:
  void launch(mlir::OpBuilder &b, MatMulOp op, mlir::Value codes,
              mlir::Value rows, int64_t rowsPerBlock);

  mlir::gpu::GPUModuleOp module;
  /// Packed codes of weights that several products share.
  llvm::DenseMap<mlir::Attribute, mlir::ElementsAttr> packed;
};

} // namespace nibble::codegen::cuda

#endif // NIBBLE_CODEGEN_CUDA_TILEDPRODUCTS_H
