//===- RotaryTables.h - Cosines that are there twice ------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_ROTARYTABLES_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_ROTARYTABLES_H

#include "Match.h"
#include "llvm/ADT/DenseMap.h"

namespace nibble::onnx {

/// A rotation written with whole tensors needs the cosine of each angle twice:
/// `[c, c]` along the last dimension, or with `interleaved` each element next
/// to itself. This computes `c`, where the repetition can be proven.
class RotaryTables {
public:
  /// Whether the last dimension of `value` is one repeated in that way.
  bool isRepeated(mlir::Value value, bool interleaved);

  /// `value` with half its last dimension, computed right after `value`, which
  /// must be repeated.
  mlir::Value getHalf(mlir::Value value, bool interleaved);

private:
  bool computeRepeated(mlir::Value value, bool interleaved);
  bool isRepeatedConstant(ConstantOp constant, bool interleaved);
  mlir::Value computeHalf(mlir::Operation *op, bool interleaved);
  mlir::Value takeConstant(ConstantOp constant, bool interleaved);

  llvm::DenseMap<std::pair<mlir::Value, unsigned>, mlir::Value> halves;
  /// Values that share operands are asked for more than once.
  llvm::DenseMap<std::pair<mlir::Value, unsigned>, bool> repeated;
};

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_ROTARYTABLES_H
