//===- Match.h - Small matchers over onnx operators -------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What passes that recognise decomposed operators have in common. A matcher
// looks at what defines a value and never changes anything.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_MATCH_H
#define NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_MATCH_H

#include "mlir/IR/Builders.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include <optional>

namespace nibble::onnx {

inline bool isPresent(mlir::Value value) {
  return !llvm::isa<mlir::NoneType>(value.getType());
}

/// The type of a tensor whose rank is known, else null.
inline mlir::RankedTensorType getRanked(mlir::Value value) {
  return llvm::dyn_cast<mlir::RankedTensorType>(value.getType());
}

/// Whether the ranks of all tensors in `root` are known, as they are after
/// `onnx-infer-shapes`.
bool areRanksKnown(mlir::Operation *root);

/// The number that all elements of a constant are.
std::optional<double> getNumber(mlir::Value value);

/// All elements of a small constant of integers.
std::optional<llvm::SmallVector<int64_t>> getIntegers(mlir::Value value);

/// Whether two numbers of a model are meant to be the same: equal up to the
/// rounding of the type that the model stores them in.
bool isClose(double a, double b, mlir::Type element);

/// A value and the number it is combined with.
struct WithNumber {
  mlir::Value value;
  double number;
};

/// The other operand of a commutative operator and the number, if `value` is
/// `x op c` or `c op x` and as large as x.
template <typename OpTy>
std::optional<WithNumber> matchNumber(mlir::Value value) {
  auto op = value.getDefiningOp<OpTy>();
  if (!op)
    return std::nullopt;
  for (unsigned i : {1u, 0u}) {
    mlir::Value x = op->getOperand(1 - i);
    if (x.getType() != value.getType())
      continue;
    if (std::optional<double> number = getNumber(op->getOperand(i)))
      return WithNumber{x, *number};
  }
  return std::nullopt;
}

/// The first operand of `x op c`, in this order.
template <typename OpTy>
std::optional<WithNumber> matchRightNumber(mlir::Value value) {
  auto op = value.getDefiningOp<OpTy>();
  if (!op || op->getOperand(0).getType() != value.getType())
    return std::nullopt;
  if (std::optional<double> number = getNumber(op->getOperand(1)))
    return WithNumber{op->getOperand(0), *number};
  return std::nullopt;
}

/// `x * c`, also written as a division by 1 / c.
std::optional<WithNumber> matchScaled(mlir::Value value);

/// `x ^ n` for a whole n, as a Pow or as products.
std::optional<mlir::Value> matchPower(mlir::Value value, int exponent);

/// The other operand of a commutative operation that has `operand`; null if
/// neither operand is it.
mlir::Value getOther(mlir::Operation *op, mlir::Value operand);

/// The operation that is the only use of `value`, else null.
mlir::Operation *getOnlyUser(mlir::Value value);

/// What a Cast from one float type to another reads; the value itself if it is
/// none.
mlir::Value skipFloatCast(mlir::Value value);

/// What an operation on shapes alone (Reshape, Squeeze, Unsqueeze, Flatten)
/// reads; the value itself if it is none.
mlir::Value skipReshape(mlir::Value value);

/// `axis` counted from the first dimension of a tensor of that rank.
inline int64_t fromFront(int64_t axis, int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}

/// A constant list of integers.
mlir::Value makeIntegers(mlir::OpBuilder &builder, mlir::Location loc,
                         llvm::ArrayRef<int64_t> values);

/// Replaces `root`, the last operation of a decomposed form, by `value`, whose
/// operation takes over the name of the layer.
void replaceForm(mlir::Operation *root, mlir::Value value);

/// Erases the operators in `root` that nothing uses any more.
void eraseDead(mlir::Operation *root);

/// Says why a form that looks like `what` stays as it is: a missed remark of
/// the category `fusion`.
void remarkMissed(mlir::Operation *op, llvm::StringRef what,
                  const llvm::Twine &reason);

} // namespace nibble::onnx

#endif // NIBBLE_LIB_DIALECT_ONNX_TRANSFORMS_MATCH_H
