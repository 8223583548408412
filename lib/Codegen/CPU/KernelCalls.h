//===- KernelCalls.h - Calls of generated kernels ---------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CODEGEN_CPU_KERNELCALLS_H
#define NIBBLE_LIB_CODEGEN_CPU_KERNELCALLS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/SymbolTable.h"
#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

/// The memory of `value` as one dimension of unknown size. Strided memory is
/// copied: kernels read contiguous memory only.
mlir::Value flatten(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value);

/// The memrefs that are not null, flat. What was copied for that is to be freed
/// after its use.
llvm::SmallVector<mlir::Value>
flattenAll(mlir::OpBuilder &b, mlir::Location loc,
           llvm::ArrayRef<mlir::Value> memrefs,
           llvm::SmallVectorImpl<mlir::Value> &copies);

/// A flat view of `memref`, its offset, and the strides of its dimensions.
void flattenStrided(KernelBuilder &kernel, mlir::Value memref,
                    mlir::Value &flat, Index &offset,
                    llvm::SmallVector<Index> &strides);

/// Truth values as the bytes that they are in memory, for which there are
/// vectors; any other memory as it is.
mlir::Value viewBytes(KernelBuilder &kernel, mlir::Value flat);

/// Product of all dimensions but the last `trailing`.
Index leadingSize(KernelBuilder &kernel, mlir::Value memref, int64_t trailing);

/// Makes kernels, each once, and calls them.
class KernelCalls {
public:
  KernelCalls(mlir::SymbolTable &symbols, CpuTarget target)
      : target(target), symbols(symbols) {}

  /// Calls the kernel `name`, which `emit` builds if it is new, with the
  /// memrefs that are not null, flat, and then the sizes.
  void call(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef name,
            llvm::ArrayRef<mlir::Value> memrefs,
            llvm::ArrayRef<mlir::Value> sizes,
            llvm::function_ref<void(KernelBuilder &, mlir::ValueRange)> emit);

  const CpuTarget target;
  unsigned numKernels = 0, numCalls = 0;

private:
  mlir::SymbolTable &symbols;
};

/// Operations on memrefs; they are erased.
void convertInteger(MatMulIntegerOp op, KernelCalls &calls);
void convertInteger(ConvIntegerOp op, KernelCalls &calls);
void convertInteger(QuantizeDynamicOp op, KernelCalls &calls);
void convertInteger(QuantizeOutliersOp op, KernelCalls &calls);
/// Fails, after a message, if the weight is not packed.
mlir::LogicalResult convertOutliers(MatMulOutliersOp op, KernelCalls &calls);
void convertAttention(AttentionOp op, KernelCalls &calls);

/// A contraction of floats in linalg becomes a call where that pays; what it
/// was stays for sizes that are not known and may be small. False if `op` stays
/// as it is.
bool convertProduct(mlir::linalg::LinalgOp op, KernelCalls &calls);

} // namespace nibble::codegen

#endif // NIBBLE_LIB_CODEGEN_CPU_KERNELCALLS_H
