//===- FoldHeads.h - Attention without transposed heads ---------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_FOLDHEADS_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_FOLDHEADS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace nibble::onnx {

/// Gives Attention whose queries, keys and values are transposed from [batch,
/// length, heads * size], and whose result is transposed back, the operands of
/// rank 3 instead. A RotaryEmbedding between follows. Returns how many changed.
unsigned foldHeads(mlir::func::FuncOp func);

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_FOLDHEADS_H
