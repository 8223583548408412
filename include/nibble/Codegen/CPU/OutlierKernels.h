//===- OutlierKernels.h - Kernels of LLM.int8 -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_OUTLIERKERNELS_H
#define NIBBLE_CODEGEN_CPU_OUTLIERKERNELS_H

#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

/// `nibble.quantize_outliers` of `rows` rows of `k` floats. Rows are read
/// twice: which columns have outliers is known after the first time.
struct QuantizeOutliersArguments {
  mlir::Value input, codes, scales, columns, count;
  Index rows, k;
};

void emitQuantizeOutliers(KernelBuilder &kernel, float threshold,
                          const QuantizeOutliersArguments &arguments);

/// `nibble.matmul_outliers` of `m` rows. The weight is packed for the integer
/// product: its columns are read there, `weightQuads` quads to a panel, and
/// become floats in registers.
struct MatMulOutliersArguments {
  mlir::Value input, columns, count, weight, weightScales;
  /// Null: none.
  mlir::Value residual;
  mlir::Value out;
  Index m, n, k, weightQuads;
};

void emitMatMulOutliers(KernelBuilder &kernel,
                        const MatMulOutliersArguments &arguments);

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_OUTLIERKERNELS_H
