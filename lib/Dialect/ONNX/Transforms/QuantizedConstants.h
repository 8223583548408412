//===- QuantizedConstants.h - Weights and biases of QDQ graphs --*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_QUANTIZEDCONSTANTS_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_QUANTIZEDCONSTANTS_H

#include "QuantizationPlan.h"
#include "nibble/Dialect/Nibble/Transforms/ReportDetails.h"

namespace nibble::onnx {

/// Discardable attribute of a constant of codes: the floats it was made of, for
/// onnx-correct-bias, which removes it.
constexpr llvm::StringLiteral floatValueAttrName = "nibble.float_value";

/// Beside it, by what the scale of the codes is larger than that of the floats:
/// alpha of a Gemm, if that is not 1.
constexpr llvm::StringLiteral floatFactorAttrName = "nibble.float_factor";

/// Gives Conv, MatMul or Gemm `op` a weight of signed bytes with a scale for
/// each output channel, behind a DequantizeLinear, and a bias, if it has one,
/// of 32-bit integers in steps of `input.scale` times the weight's scale. The
/// operation gets a report of the layer, with details if they are wanted.
mlir::LogicalResult quantizeConstants(mlir::Operation *op,
                                      const ValueGrid &input,
                                      quantizer::ScaleRule rule,
                                      ReportDetails &details);

/// How the rows of the weight of Conv, MatMul or Gemm lie in a constant of this
/// shape, whose bytes are `data`; and which input channels its columns are.
struct ProductView {
  quantizer::WeightView weight;
  quantizer::ColumnChannels channels;
  /// The dimension of the output channels.
  int64_t axis = 0;
};
ProductView getProductView(mlir::Operation *op, llvm::ArrayRef<int64_t> shape,
                           const char *data);

/// The codes of such a constant as rows.
quantizer::Int8Weight readRows(const ProductView &view,
                               llvm::ArrayRef<float> scales,
                               llvm::ArrayRef<char> codes);

/// Reports that the product `op` stays float.
void setFloatReport(mlir::Operation *op, llvm::StringRef reason);

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_QUANTIZEDCONSTANTS_H
