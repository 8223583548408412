//===- Passes.h - Passes on the nibble dialect ------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_PASSES_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

namespace mlir {
class RewritePatternSet;
} // namespace mlir

namespace nibble {

/// Patterns that fold a dequantized weight into the operation that reads it.
void populateFuseDequantizePatterns(mlir::RewritePatternSet &patterns);

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "nibble/Dialect/Nibble/Transforms/NibbleTransforms.h.inc"

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_PASSES_H
