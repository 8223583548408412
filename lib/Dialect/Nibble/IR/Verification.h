//===- Verification.h - What verifiers share --------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each check says what it expected and what it got.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_DIALECT_NIBBLE_IR_VERIFICATION_H
#define NIBBLE_LIB_DIALECT_NIBBLE_IR_VERIFICATION_H

#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/Support/MathExtras.h"

namespace nibble::verification {

using namespace mlir;

/// Prints a shape as types do: 4x?x8.
inline std::string toString(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '[';
  llvm::interleaveComma(shape, os, [&](int64_t size) {
    if (ShapedType::isDynamic(size))
      os << '?';
    else
      os << size;
  });
  os << ']';
  return text;
}

inline bool areCompatible(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  return a.size() == b.size() &&
         llvm::all_of_zip(a, b, [](int64_t x, int64_t y) {
           return x == y || ShapedType::isDynamic(x) ||
                  ShapedType::isDynamic(y);
         });
}

inline ShapedType getShaped(Value value) {
  return cast<ShapedType>(value.getType());
}

inline bool isFloat(Value value) {
  return isa<FloatType>(getShaped(value).getElementType());
}

inline LogicalResult verifyShape(Operation *op, StringRef what, Value value,
                                 ArrayRef<int64_t> expected) {
  ArrayRef<int64_t> shape = getShaped(value).getShape();
  if (areCompatible(shape, expected))
    return success();
  return op->emitOpError("expected ")
         << what << " of shape " << toString(expected) << ", got "
         << toString(shape);
}

inline LogicalResult verifyElement(Operation *op, StringRef what, Value value,
                                   Type expected) {
  Type element = getShaped(value).getElementType();
  if (element == expected)
    return success();
  return op->emitOpError("expected ")
         << what << " of element type " << expected << ", got " << element;
}

/// Tensors have a result and no `outs`; memrefs the other way round.
template <typename OpTy>
LogicalResult verifyForm(OpTy op) {
  bool onMemRefs = isa<MemRefType>(op->getOperand(0).getType());
  for (Value operand : op->getOperands())
    if (isa<MemRefType>(operand.getType()) != onMemRefs)
      return op.emitOpError("expected operands that are all tensors or all "
                            "memrefs, got ")
             << op->getOperand(0).getType() << " and " << operand.getType();
  if (onMemRefs != static_cast<bool>(op.getOuts()))
    return op.emitOpError(onMemRefs ? "expected outs with memref operands, got "
                                      "none"
                                    : "expected no outs with tensor operands");
  if (onMemRefs == static_cast<bool>(op.getResult()))
    return op.emitOpError(onMemRefs ? "expected no result with memref operands"
                                    : "expected a result with tensor operands, "
                                      "got none");
  return success();
}

/// The result, or the buffer that takes its place.
template <typename OpTy>
Value getOutput(OpTy op) {
  return op.getOuts() ? Value(op.getOuts()) : Value(op.getResult());
}

/// Each value of `values` at least `minimum`, and as many as `count`.
inline LogicalResult verifyList(Operation *op, StringRef what,
                                ArrayRef<int64_t> values, size_t count,
                                int64_t minimum) {
  if (values.size() != count)
    return op->emitOpError("expected ")
           << count << ' ' << what << ", got " << values.size();
  for (int64_t value : values)
    if (value < minimum)
      return op->emitOpError("expected ")
             << what << " of at least " << minimum << ", got " << value;
  return success();
}

/// The sizes, form and input of a product of matrices; `output` gets the shape
/// of its result.
template <typename OpTy>
LogicalResult verifyProduct(OpTy op, SmallVectorImpl<int64_t> &output) {
  int64_t n = op.getN(), k = op.getK();
  if (n < 1 || k < 1)
    return op.emitOpError("expected n and k of at least 1, got ")
           << n << " and " << k;
  if (failed(verifyForm(op)))
    return failure();
  ArrayRef<int64_t> input = getShaped(op.getInput()).getShape();
  if (input.empty() || !areCompatible(input.take_back(), {k}))
    return op.emitOpError("expected an input whose last dimension is k = ")
           << k << ", got shape " << toString(input);
  output.assign(input.begin(), input.end());
  output.back() = n;
  return success();
}

/// The window of a convolution; its result has the shape `output`.
template <typename OpTy>
LogicalResult verifyWindow(OpTy op, SmallVectorImpl<int64_t> &output) {
  ArrayRef<int64_t> input = getShaped(op.getInput()).getShape();
  ArrayRef<int64_t> weight = op.getWeightShape();
  if (input.size() < 3 || weight.size() != input.size())
    return op.emitOpError(
               "expected weight_shape of the input's rank, at least 3, "
               "got ")
           << toString(weight) << " for an input of shape " << toString(input);
  size_t spatial = input.size() - 2;
  if (failed(verifyList(op, "sizes in weight_shape", weight, spatial + 2, 1)) ||
      failed(verifyList(op, "strides", op.getStrides(), spatial, 1)) ||
      failed(verifyList(op, "dilations", op.getDilations(), spatial, 1)) ||
      failed(verifyList(op, "pads", op.getPads(), 2 * spatial, 0)))
    return failure();
  int64_t group = op.getGroup();
  if (group < 1 || weight[0] % group != 0)
    return op.emitOpError("expected a group that divides the ")
           << weight[0] << " output channels, got " << group;
  if (!areCompatible(input.slice(1, 1), {weight[1] * group}))
    return op.emitOpError("expected ")
           << weight[1] * group << " input channels for weight_shape "
           << toString(weight) << " and group " << group << ", got "
           << toString(input.slice(1, 1));
  output.assign({input[0], weight[0]});
  for (size_t i = 0; i < spatial; ++i) {
    int64_t size = input[i + 2];
    if (!ShapedType::isDynamic(size)) {
      int64_t padded = size + op.getPads()[i] + op.getPads()[i + spatial];
      int64_t kernel = op.getDilations()[i] * (weight[i + 2] - 1) + 1;
      if (padded < kernel)
        return op.emitOpError("expected a padded input of at least ")
               << kernel << " in spatial dimension " << i << ", got " << padded;
      size = (padded - kernel) / op.getStrides()[i] + 1;
    }
    output.push_back(size);
  }
  return success();
}

} // namespace nibble::verification

#endif // NIBBLE_LIB_DIALECT_NIBBLE_IR_VERIFICATION_H
