//===- ProductKernel.h - Products of computed operands ----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `out[b, m, n] = sum_k left[b, m, k] * right[b, k, n]` of floats where no
// operand is known before the run: the right one is packed in panels, the left
// one in rows if it is not in rows already (see `PackOperand.h`), and the
// kernels of packed weights multiply them. Either operand may be transposed:
// packing moves it anyway. On AMX both are rounded to bf16.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_PRODUCTKERNEL_H
#define NIBBLE_CODEGEN_CPU_PRODUCTKERNEL_H

#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

class KernelCalls;

struct ProductSpec {
  /// Which dimension has its elements side by side: the contraction, or rows of
  /// the left operand and columns of the right.
  bool leftAlongSteps = true, rightAlongSteps = false;
  /// Adds to what is in the result.
  bool accumulate = false;

  std::string getName() const;
};

/// A matrix of each batch in `memref<?xf32, strided<[1], offset: ?>>`.
struct ProductOperand {
  mlir::Value memory;
  /// Elements from one to the next along the dimension that is not contiguous,
  /// and from one outer and inner number of the batch to the next.
  Index stride, outerBatch, innerBatch;
};

struct ProductArguments {
  ProductOperand left, right, out;
  Index m, n, k;
  /// Matrices, and how many of them have the same outer number.
  Index batches, inner;
};

/// Packs and multiplies by calls of kernels that all products share. For many
/// rows: see `paysToPack`.
void emitProduct(KernelBuilder &kernel, const ProductSpec &spec,
                 const ProductArguments &arguments, KernelCalls &calls);

/// Whether packing costs little beside the product, i1.
mlir::Value paysToPack(KernelBuilder &kernel, Index m, Index n, Index k);

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_PRODUCTKERNEL_H
