//===- ResolveBranches.h - Ifs whose branches differ in rank ----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_RESOLVEBRANCHES_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_RESOLVEBRANCHES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"

namespace nibble::onnx {

/// Replaces the first `onnx.If` whose results have no rank because its branches
/// differ, if it is what exporters make of `squeeze(dim)` on a size that is not
/// known: dimension k of x is removed if it is 1, else x stays as it is. It
/// becomes the Squeeze, which checks the size at run time; a model in which
/// both branches can be meant has no static ranks at all. False if there is
/// none.
bool resolveSqueezeBranch(mlir::func::FuncOp func, InferState &state);

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_RESOLVEBRANCHES_H
