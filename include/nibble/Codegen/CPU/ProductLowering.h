//===- ProductLowering.h - Products by kernels of some target -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a kernel has to know of an operation of the fused family is the same for
// every target: the format of the weight, sizes, what follows the sum. How the
// kernel works, and how it is called, is up to the target.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_PRODUCTLOWERING_H
#define NIBBLE_CODEGEN_CPU_PRODUCTLOWERING_H

#include "nibble/Codegen/CPU/Kernels.h"

namespace nibble::codegen {

/// Lowers `nibble.matmul`, `nibble.conv` and `nibble.gather` on memrefs.
class ProductLowering {
public:
  virtual ~ProductLowering() = default;

  /// Replaces the operation by a call. Error: a format without kernel, a weight
  /// that is not packed.
  llvm::LogicalResult convert(MatMulOp op);
  llvm::LogicalResult convert(ConvOp op);
  llvm::LogicalResult convert(GatherOp op);

protected:
  using EmitBody = llvm::function_ref<void(KernelBuilder &, mlir::ValueRange)>;
  /// Calls the kernel `name`, which `emit` builds if it is new, with the
  /// memrefs that are not null, flat, and then the sizes. The last memref is
  /// `out`, the only one that is written. `op` is erased.
  virtual void call(mlir::Operation *op, llvm::StringRef name,
                    llvm::ArrayRef<mlir::Value> memrefs,
                    llvm::ArrayRef<mlir::Value> sizes, mlir::Value out,
                    EmitBody emit) = 0;
  /// The memrefs that are not null, flat, and what was copied for that.
  static llvm::SmallVector<mlir::Value>
  flatten(mlir::OpBuilder &b, mlir::Location loc,
          llvm::ArrayRef<mlir::Value> memrefs,
          llvm::SmallVectorImpl<mlir::Value> &copies);
  virtual void emit(KernelBuilder &kernel, const MatMulSpec &spec,
                    const MatMulArguments &arguments) = 0;
  virtual void emit(KernelBuilder &kernel, const ConvSpec &spec,
                    const ConvArguments &arguments) = 0;
  virtual void emit(KernelBuilder &kernel, const GatherSpec &spec,
                    const GatherArguments &arguments) = 0;

private:
  template <typename OpTy>
  mlir::FailureOr<WeightFormat> getFormat(OpTy op, int64_t k, Packing packing);
  template <typename OpTy>
  EpilogueSpec getEpilogue(OpTy op);
  llvm::LogicalResult checkElementTypes(QuantizableOpInterface op,
                                        mlir::Value input, mlir::Value out);
};

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_PRODUCTLOWERING_H
