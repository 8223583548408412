//===- NibbleToLinalg.h - nibble to linalg ----------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CONVERSION_NIBBLETOLINALG_H
#define NIBBLE_CONVERSION_NIBBLETOLINALG_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir {
class RewritePatternSet;
} // namespace mlir

namespace nibble {

/// Patterns that give `nibble.quantize` and `nibble.dequantize` their exact
/// meaning in linalg on tensors.
void populateNibbleToLinalgPatterns(mlir::RewritePatternSet &patterns);

/// Patterns that give the integer products their exact meaning in linalg.
void populateIntegerProductPatterns(mlir::RewritePatternSet &patterns);

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "nibble/Conversion/NibbleToLinalg/NibbleToLinalg.h.inc"

} // namespace nibble

#endif // NIBBLE_CONVERSION_NIBBLETOLINALG_H
