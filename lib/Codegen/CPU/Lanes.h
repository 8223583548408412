//===- Lanes.h - Between the lanes of vectors -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CODEGEN_CPU_LANES_H
#define NIBBLE_LIB_CODEGEN_CPU_LANES_H

#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

/// 16 vectors of 16 lanes as the rows of a matrix; its columns.
Values transposeLanes(KernelBuilder &kernel, Values rows);

/// Pairs of a lane of `even` and one of `odd`, vectors of f32, as bf16.
mlir::Value roundPairs(KernelBuilder &kernel, mlir::Value even,
                       mlir::Value odd);

/// Lane i of the result is the sum of the lanes of vector i, of 16.
mlir::Value sumLanes(KernelBuilder &kernel, Values vectors);

/// `x > y ? x : y`, one instruction: y where x is NaN.
mlir::Value larger(KernelBuilder &kernel, mlir::Value x, mlir::Value y);

/// e^x of a vector of f32 or f64 with x <= 0 (minus infinity gives 0). For f32
/// the error is below 2 units in the last place (2 + |x| / 2 without fused
/// multiply-add); what is below 2^-126 is 0.
mlir::Value emitExpNonPositive(KernelBuilder &kernel, mlir::Value x);

} // namespace nibble::codegen

#endif // NIBBLE_LIB_CODEGEN_CPU_LANES_H
