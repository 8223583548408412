//===- ONNXToNibble.h - ONNX operators with constant weights ----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CONVERSION_ONNXTONIBBLE_ONNXTONIBBLE_H
#define NIBBLE_CONVERSION_ONNXTONIBBLE_ONNXTONIBBLE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir {
class RewritePatternSet;
} // namespace mlir

namespace nibble {

/// MatMul, Gemm, Conv and Gather with a constant weight become operations of
/// the nibble dialect.
void populateONNXToNibblePatterns(mlir::RewritePatternSet &patterns);

/// Products with weights of 2 to 8 bits that a model brings along become
/// operations of the nibble dialect with a scheme.
void populatePackedProductPatterns(mlir::RewritePatternSet &patterns);

/// Embeddings whose tables are quantized in blocks become operations of the
/// nibble dialect with a scheme; others are dequantized, with a remark.
void populateBlockTablePatterns(mlir::RewritePatternSet &patterns);

/// Bias, residual and activation that follow an operation of the nibble dialect
/// become part of it.
void populateFuseElementwisePatterns(mlir::RewritePatternSet &patterns);

/// Products of quantized tensors become integer products with scales.
void populateQuantizedProductPatterns(mlir::RewritePatternSet &patterns);

/// Scales, bias and quantization that follow an integer product become part of
/// it.
void populateIntegerStagePatterns(mlir::RewritePatternSet &patterns);

/// Residuals and activations that follow an integer product become part of it.
void populateIntegerEpiloguePatterns(mlir::RewritePatternSet &patterns);

/// Functions of one quantized tensor become tables of 256 codes.
void populateIntegerTablePatterns(mlir::RewritePatternSet &patterns);

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h.inc"

} // namespace nibble

#endif // NIBBLE_CONVERSION_ONNXTONIBBLE_ONNXTONIBBLE_H
