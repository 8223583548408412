//===- QuantizedWeight.h - Codes that a model brings along ------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights that were quantized before they came to us, in ONNX's forms, become
// codes, scales and zero points with a scheme. No value changes: the codes are
// only put in another order.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_QUANTIZEDWEIGHT_H
#define NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_QUANTIZEDWEIGHT_H

#include "mlir/IR/Builders.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include <vector>

namespace nibble {

/// A weight as N rows (output channels) of K columns, in runs of `group`
/// columns that share a scale.
struct QuantizedRows {
  int64_t rows = 0, columns = 0;
  unsigned bits = 8;
  /// Codes of NF4 and FP4 have no zero points.
  CodebookKind codebook = CodebookKind::Int;
  /// -1: one for each row.
  int64_t group = -1;
  /// Unsigned codes [rows, columns], one a byte.
  std::vector<uint8_t> codes;
  /// f32, f16 or bf16, and their bytes, [rows, groups].
  mlir::Type scaleType;
  std::vector<char> scales;
  /// Zero points [rows, groups]: codes, or else floats of the scales' type.
  std::vector<uint8_t> zeros;
  std::vector<char> floatZeros;
  /// Group of each column where they are not in order, else empty.
  std::vector<int32_t> groupIndex;
  /// Name of the initializer, may be null.
  mlir::StringAttr name;

  int64_t getNumGroups() const {
    return group < 0 ? 1 : int64_t(llvm::divideCeil(columns, group));
  }
};

/// Codes of `rows` rows, one a byte: `data` has them packed, each row in a
/// whole number of bytes that may hold more than `columns`, the first in the
/// low bits.
std::vector<uint8_t> unpackCodes(const ConstantData &data, int64_t rows,
                                 int64_t columns, unsigned bits);

/// Operands of an operation with a packed weight.
struct QuantizedWeight {
  mlir::Value codes, scales, zeros, groupIndex;
  SchemeAttr scheme;
};

/// Constants for a weight. Zero points in the middle of the range are no zero
/// points.
mlir::FailureOr<QuantizedWeight>
createQuantizedWeight(mlir::OpBuilder &builder, mlir::Location loc,
                      const QuantizedRows &weight);

/// The weight that `value` dequantizes from constants: a DequantizeLinear,
/// behind Identity or the Transpose of a matrix, of codes of 2 to 8 bits with a
/// scale for the tensor, for each row, or for blocks along the columns. Rows
/// are dimension 0 of `value`, with `rowsLast` the last one. Failure without a
/// message if it is none of these.
mlir::FailureOr<QuantizedRows> getQuantizedRows(mlir::Value value,
                                                bool rowsLast);

} // namespace nibble

#endif // NIBBLE_LIB_CONVERSION_ONNXTONIBBLE_QUANTIZEDWEIGHT_H
