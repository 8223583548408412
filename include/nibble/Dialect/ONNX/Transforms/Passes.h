//===- Passes.h - Passes on the onnx dialect --------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_TRANSFORMS_PASSES_H
#define NIBBLE_DIALECT_ONNX_TRANSFORMS_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"

namespace nibble::onnx {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "nibble/Dialect/ONNX/Transforms/ONNXTransforms.h.inc"

} // namespace nibble::onnx

#endif // NIBBLE_DIALECT_ONNX_TRANSFORMS_PASSES_H
