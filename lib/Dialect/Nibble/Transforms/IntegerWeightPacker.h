//===- IntegerWeightPacker.h - 8-bit weights for kernels --------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_NIBBLE_TRANSFORMS_INTEGERWEIGHTPACKER_H
#define NIBBLE_LIB_DIALECT_NIBBLE_TRANSFORMS_INTEGERWEIGHTPACKER_H

#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/ADT/DenseMap.h"

namespace nibble {
namespace quantizer {
struct IntegerWeightView;
} // namespace quantizer

/// Packs the constant weights of integer products. Those that are known at run
/// time only stay as they are.
class IntegerWeightPacker {
public:
  /// Fails, after a message, if a constant can't be read or written.
  mlir::FailureOr<bool> pack(MatMulIntegerOp op);
  mlir::FailureOr<bool> pack(ConvIntegerOp op);
  mlir::FailureOr<bool> pack(MatMulOutliersOp op);

private:
  /// A packed weight and the sums of its rows; nothing if it is not constant.
  using Packed = std::optional<std::pair<mlir::Value, mlir::Value>>;
  mlir::FailureOr<Packed> getPacked(mlir::Operation *op, mlir::Value weight,
                                    mlir::Value zeros,
                                    const quantizer::IntegerWeightView &view,
                                    llvm::ArrayRef<int64_t> shape);
  template <typename OpTy>
  mlir::FailureOr<bool> packAs(OpTy op, quantizer::IntegerWeightView view,
                               llvm::ArrayRef<int64_t> shape);

  /// Packed weights and sums by weight, zero points and order.
  llvm::DenseMap<std::tuple<mlir::Value, mlir::Value, int64_t>,
                 std::pair<mlir::Value, mlir::Value>>
      packed;
};

} // namespace nibble

#endif // NIBBLE_LIB_DIALECT_NIBBLE_TRANSFORMS_INTEGERWEIGHTPACKER_H
