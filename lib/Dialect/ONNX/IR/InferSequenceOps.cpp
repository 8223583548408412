//===- InferSequenceOps.cpp - Shapes of sequences and optionals -----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The shape of a sequence is what all its tensors have in common. A sequence
// without a shape is taken to be empty so far: the first tensor that it gets
// decides.
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// Makes the first result a sequence of tensors like the given ones.
static LogicalResult setSequence(InferContext &context, ValueRange values) {
  Operation *op = context.getOperation();
  std::optional<Shape> common;
  Type element;
  for (Value value : values) {
    if (TensorType type = getTensorPart(value.getType());
        type && !isa<UnknownType>(type.getElementType()))
      element = type.getElementType();
    std::optional<Shape> shape = context.getState().getShape(value);
    if (!shape)
      continue;
    if (!common)
      common = shape;
    if (shape->size() != common->size())
      return context.emitError()
             << "a tensor of shape " << toString(*shape)
             << " comes to tensors of shape " << toString(*common)
             << " in one sequence, expected one rank";
    for (auto [dim, other] : llvm::zip_equal(*common, *shape))
      if (!dim.isConstant() || dim != other)
        dim = Dim();
  }
  context.setContainer(0, SeqType::get(op->getContext(),
                                       getUnknownTensorType(op->getContext())));
  if (element)
    context.setElementType(0, element);
  if (common)
    context.setShape(0, *common);
  return success();
}

LogicalResult SequenceConstructOp::inferShapes(InferContext &context) {
  return setSequence(context, getInputs());
}

LogicalResult SequenceEmptyOp::inferShapes(InferContext &context) {
  context.setElementType(0, onnx::getElementType(getContext(), getDtype()));
  context.setContainer(
      0, SeqType::get(getContext(), getUnknownTensorType(getContext())));
  return success();
}

LogicalResult SequenceInsertOp::inferShapes(InferContext &context) {
  return setSequence(context, {getInputSequence(), getTensor()});
}

LogicalResult SequenceEraseOp::inferShapes(InferContext &context) {
  return setSequence(context, getInputSequence());
}

LogicalResult SequenceAtOp::inferShapes(InferContext &context) {
  if (std::optional<Shape> shape = context.getShape(0))
    context.setShape(0, *shape);
  context.setElementType(0, context.getElementType(0));
  return success();
}

LogicalResult SequenceLengthOp::inferShapes(InferContext &context) {
  context.setShape(0, {});
  return success();
}

LogicalResult SplitToSequenceOp::inferShapes(InferContext &context) {
  context.setContainer(
      0, SeqType::get(getContext(), getUnknownTensorType(getContext())));
  context.setElementType(0, context.getElementType(0));
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  std::optional<int64_t> axis = context.normalizeAxis(getAxis(), shape->size());
  if (!axis)
    return failure();
  for (Dim &dim : *shape)
    dim = dim.isConstant() ? dim : Dim();
  if (context.hasOperand(1))
    (*shape)[*axis] = Dim();
  else if (getKeepdims())
    (*shape)[*axis] = Dim(1);
  else
    shape->erase(shape->begin() + *axis);
  context.setShape(0, *shape);
  return success();
}

LogicalResult ConcatFromSequenceOp::inferShapes(InferContext &context) {
  context.setElementType(0, context.getElementType(0));
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  int64_t rank = shape->size() + (getNewAxis() ? 1 : 0);
  std::optional<int64_t> axis = context.normalizeAxis(getAxis(), rank);
  if (!axis)
    return failure();
  if (getNewAxis())
    shape->insert(shape->begin() + *axis, Dim());
  else
    (*shape)[*axis] = Dim();
  context.setShape(0, *shape);
  return success();
}

/// Passes on what is known about the tensors of the first operand.
static void copyTensorPart(InferContext &context) {
  context.setElementType(0, context.getElementType(0));
  if (std::optional<Shape> shape = context.getShape(0))
    context.setShape(0, *shape);
}

LogicalResult OptionalOp::inferShapes(InferContext &context) {
  if (context.hasOperand(0)) {
    context.setContainer(0,
                         OptionalType::get(getContext(), getInput().getType()));
    copyTensorPart(context);
    return success();
  }
  std::optional<Type> declared = getType();
  if (!declared)
    return context.emitError()
           << "has neither an operand nor a type, expected one of them";
  context.setContainer(0, OptionalType::get(getContext(), *declared));
  if (TensorType tensor = getTensorPart(*declared))
    context.setElementType(0, tensor.getElementType());
  return success();
}

LogicalResult OptionalHasElementOp::inferShapes(InferContext &context) {
  context.setShape(0, {});
  return success();
}

LogicalResult OptionalGetElementOp::inferShapes(InferContext &context) {
  Type type = getInput().getType();
  if (auto optional = dyn_cast<OptionalType>(type))
    type = optional.getElementType();
  context.setContainer(0, type);
  copyTensorPart(context);
  return success();
}

LogicalResult StringSplitOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  context.setShape(1, *shape);
  shape->push_back(Dim());
  context.setShape(0, *shape);
  return success();
}

LogicalResult StringNormalizerOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  if (failed(context.checkRank("X", *shape, 1, 2)))
    return failure();
  shape->back() = Dim();
  context.setShape(0, *shape);
  return success();
}
