//===- InferSignalOps.cpp - Shapes of signals and random numbers ----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

/// The element type that the attribute `name` numbers; null if it is absent.
static Type getNumbered(InferContext &context, StringRef name) {
  Operation *op = context.getOperation();
  auto number = op->getAttrOfType<IntegerAttr>(name);
  return number ? getElementType(op->getContext(), number.getInt()) : Type();
}

LogicalResult onnx::detail::inferSignalWindow(InferContext &context) {
  context.setElementType(0, getNumbered(context, "output_datatype"));
  std::optional<Shape> size = context.getContents(0);
  context.setShape(0, {size && size->size() == 1 ? size->front() : Dim()});
  return success();
}

/// A DFT of n elements gives n / 2 + 1, if one half is enough.
static Dim getOneSided(const Dim &n) {
  return n.isConstant() ? Dim(n.getConstant() / 2 + 1) : Dim();
}

LogicalResult DFTOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (!x)
    return success();
  if (failed(context.checkRank("input", *x, 2, INT_MAX)))
    return failure();
  const Dim &parts = x->back();
  if (parts.isConstant() && !parts.isConstant(1) && !parts.isConstant(2))
    return context.emitError() << "input has shape " << toString(*x)
                               << ", expected real (1) or complex (2) numbers "
                                  "in the last dimension";
  if (getOnesided() && !getInverse() && parts.isConstant(2))
    return context.emitError() << "onesided needs real numbers, input has "
                                  "shape "
                               << toString(*x);
  int64_t rank = x->size(), axis = rank - 2;
  if (context.hasOperand(2)) {
    std::optional<SmallVector<int64_t>> given = context.getConstants(2);
    if (!given || given->size() != 1) {
      context.setRank(0, rank);
      return success();
    }
    std::optional<int64_t> normalized =
        context.normalizeAxis(given->front(), rank);
    if (!normalized)
      return failure();
    axis = *normalized;
    if (axis == rank - 1)
      return context.emitError()
             << "axis is the last dimension, which holds the parts of a number";
  }
  Dim n = (*x)[axis];
  bool half = getOnesided() && getInverse();
  if (half)
    n = n.isConstant() ? Dim((n.getConstant() - 1) * 2) : Dim();
  if (context.hasOperand(1)) {
    std::optional<Shape> length = context.getContents(1);
    n = length && length->size() == 1 ? length->front() : Dim();
  }
  (*x)[axis] = getOnesided() && !getInverse() ? getOneSided(n) : n;
  x->back() = Dim(half ? 1 : 2);
  context.setShape(0, *x);
  return success();
}

LogicalResult STFTOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (x && failed(context.checkRank("signal", *x, 2, 3)))
    return failure();
  Dim length = x ? (*x)[1] : Dim(), step, frame = length;
  if (std::optional<Shape> window = context.getShape(2)) {
    if (failed(context.checkRank("window", *window, 1, 1)))
      return failure();
    frame = window->front();
  }
  auto single = [&](unsigned operand, Dim &dim) {
    if (!context.hasOperand(operand))
      return;
    std::optional<Shape> value = context.getContents(operand);
    dim = value && value->size() == 1 ? value->front() : Dim();
  };
  single(3, frame);
  single(1, step);
  Dim frames;
  if (length.isConstant() && frame.isConstant() && step.isConstant()) {
    if (step.getConstant() < 1 || frame.getConstant() < 1 ||
        frame.getConstant() > length.getConstant())
      return context.emitError()
             << "frame_length is " << frame.getConstant() << ", frame_step "
             << step.getConstant() << ": expected both from 1 to the length "
             << length.getConstant() << " of the signal";
    frames = Dim(
        (length.getConstant() - frame.getConstant()) / step.getConstant() + 1);
  }
  context.setShape(0, {x ? (*x)[0] : Dim(), frames,
                       getOnesided() ? getOneSided(frame) : frame, Dim(2)});
  return success();
}

LogicalResult MelWeightMatrixOp::inferShapes(InferContext &context) {
  context.setElementType(0, getNumbered(context, "output_datatype"));
  std::optional<Shape> bins = context.getContents(0);
  std::optional<Shape> length = context.getContents(1);
  context.setShape(
      0, {length && length->size() == 1 ? getOneSided(length->front()) : Dim(),
          bins && bins->size() == 1 ? bins->front() : Dim()});
  return success();
}

LogicalResult onnx::detail::inferRandom(InferContext &context) {
  context.setElementType(0, getNumbered(context, "dtype"));
  auto sizes =
      context.getOperation()->getAttrOfType<DenseI64ArrayAttr>("shape");
  context.setShape(0,
                   Shape(sizes.asArrayRef().begin(), sizes.asArrayRef().end()));
  return success();
}

LogicalResult onnx::detail::inferRandomLike(InferContext &context) {
  Type type = getNumbered(context, "dtype");
  context.setElementType(0, type ? type : context.getElementType(0));
  if (std::optional<Shape> shape = context.getShape(0))
    context.setShape(0, *shape);
  return success();
}

LogicalResult MultinomialOp::inferShapes(InferContext &context) {
  context.setElementType(0, getNumbered(context, "dtype"));
  std::optional<Shape> x = context.getShape(0);
  if (x && failed(context.checkRank("input", *x, 2, 2)))
    return failure();
  context.setShape(
      0, {x ? (*x)[0] : Dim(), Dim(static_cast<int64_t>(getSampleSize()))});
  return success();
}
