//===- InferTensorOps.cpp - Shapes of constants and data movement ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::inferShapes(InferContext &context) {
  ElementsAttr elements = getElements();
  if (!elements)
    return success();
  ShapedType type = elements.getShapedType();
  context.setShape(0, Shape(type.getShape().begin(), type.getShape().end()));
  context.setElementType(0, type.getElementType());
  return success();
}

/// The shape that the elements of a 1-D operand spell; of known rank only if
/// the elements are not tracked; nothing if even their number is unknown.
static std::optional<Shape> getShapeOperand(InferContext &context,
                                            unsigned operand) {
  if (std::optional<Shape> contents = context.getContents(operand))
    return contents;
  std::optional<Shape> shape = context.getShape(operand);
  if (shape && shape->size() == 1 && (*shape)[0].isConstant() &&
      (*shape)[0].getConstant() <= InferState::kMaxContents)
    return Shape((*shape)[0].getConstant(), Dim());
  return std::nullopt;
}

LogicalResult ConstantOfShapeOp::inferShapes(InferContext &context) {
  if (std::optional<Shape> shape = getShapeOperand(context, 0)) {
    for (const Dim &dim : *shape)
      if (dim.isConstant() && dim.getConstant() < 0)
        return context.emitError()
               << "asks for the negative size in " << toString(*shape);
    context.setShape(0, *shape);
  }
  context.setElementType(0, getValueAttr() ? getValueAttr().getElementType()
                                           : Float32Type::get(getContext()));
  return success();
}

LogicalResult RangeOp::inferShapes(InferContext &context) {
  auto start = context.getContents(0), limit = context.getContents(1),
       delta = context.getContents(2);
  Dim count;
  if (start && limit && delta && start->size() == 1 && limit->size() == 1 &&
      delta->size() == 1 && (*delta)[0].isConstant()) {
    int64_t step = (*delta)[0].getConstant();
    if (step == 0)
      return context.emitError() << "delta is 0, expected another number";
    Dim span = (*limit)[0] - (*start)[0];
    if (span.isConstant())
      count = Dim(std::max<int64_t>(
          0, llvm::divideCeilSigned(span.getConstant(), step)));
    else if (step == 1)
      count = span;
  }
  context.setShape(0, {count});
  return success();
}

LogicalResult EyeLikeOp::inferShapes(InferContext &context) {
  if (std::optional<Shape> shape = context.getShape(0)) {
    if (failed(context.checkRank("input", *shape, 2, 2)))
      return failure();
    context.setShape(0, *shape);
  }
  context.setElementType(0, getDtype()
                                ? getElementType(getContext(), *getDtype())
                                : context.getElementType(0));
  return success();
}

LogicalResult OneHotOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  std::optional<int64_t> axis =
      context.normalizeAxis(getAxis(), shape->size() + 1);
  if (!axis)
    return failure();
  std::optional<Shape> depth = context.getContents(1);
  shape->insert(shape->begin() + *axis,
                depth && depth->size() == 1 ? (*depth)[0] : Dim());
  context.setShape(0, *shape);
  return success();
}

//===----------------------------------------------------------------------===//
// Types and shapes
//===----------------------------------------------------------------------===//

LogicalResult CastOp::inferShapes(InferContext &context) {
  context.setElementType(0, getElementType(getContext(), getTo()));
  return onnx::detail::inferSameShape(context);
}

LogicalResult BitCastOp::inferShapes(InferContext &context) {
  context.setElementType(0, getElementType(getContext(), getTo()));
  return onnx::detail::inferSameShape(context);
}

LogicalResult ShapeOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape) {
    context.setRank(0, 1);
    return success();
  }
  int64_t rank = shape->size();
  auto clamp = [&](int64_t position) {
    return std::clamp<int64_t>(position < 0 ? position + rank : position, 0,
                               rank);
  };
  int64_t start = clamp(getStart()), end = clamp(getEnd().value_or(rank));
  context.setShape(0, {Dim(std::max<int64_t>(0, end - start))});
  return success();
}

LogicalResult SizeOp::inferShapes(InferContext &context) {
  context.setShape(0, {});
  return success();
}

LogicalResult ReshapeOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = getShapeOperand(context, 1);
  if (!shape)
    return success();
  std::optional<Shape> data = context.getShape(0);
  int64_t wildcard = -1;
  bool unclear = false;
  for (auto [i, dim] : llvm::enumerate(*shape)) {
    if (!dim.isConstant()) {
      // An element that is not known may be a 0 or a -1.
      unclear |= !dim.isKnown();
      continue;
    }
    if (dim.getConstant() == 0 && !getAllowzero()) {
      if (data && i >= data->size())
        return context.emitError()
               << "copies dimension " << i << " of data with shape "
               << toString(*data) << ", which has no such dimension";
      dim = data ? (*data)[i] : Dim();
    } else if (dim.getConstant() == -1) {
      if (wildcard >= 0)
        return context.emitError() << "shape has -1 twice, expected it once";
      wildcard = i;
      dim = Dim(1);
    } else if (dim.getConstant() < 0) {
      return context.emitError() << "shape has the element "
                                 << dim.getConstant() << ", expected >= -1";
    }
  }
  Dim have = data ? getNumElements(*data) : Dim();
  Dim want = getNumElements(*shape);
  if (wildcard >= 0) {
    if (have.isConstant() && want.isConstant() && !unclear &&
        (want.isConstant(0) || have.getConstant() % want.getConstant() != 0))
      return context.emitError()
             << "cannot reshape data of shape " << toString(*data) << " ("
             << have.getConstant() << " elements) with -1 beside "
             << want.getConstant() << " elements";
    (*shape)[wildcard] = unclear ? Dim() : have.exactDiv(want);
  } else if (have.isConstant() && want.isConstant() && have != want) {
    return context.emitError()
           << "cannot reshape data of shape " << toString(*data) << " to "
           << toString(*shape) << ": " << have.getConstant()
           << " elements against " << want.getConstant();
  } else if (!want.isKnown()) {
    // One unknown size follows from the others, whatever its element holds.
    auto isUnknown = [](const Dim &dim) { return !dim.isKnown(); };
    if (llvm::count_if(*shape, isUnknown) == 1) {
      auto *unknown = llvm::find_if(*shape, isUnknown);
      *unknown = Dim(1);
      *unknown = have.exactDiv(getNumElements(*shape));
    }
  }
  context.setShape(0, *shape);
  return success();
}

LogicalResult FlattenOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape) {
    context.setRank(0, 2);
    return success();
  }
  int64_t rank = shape->size(), axis = getAxis();
  if (axis < -rank || axis > rank)
    return context.emitError()
           << "axis " << axis << " is out of range for " << toString(*shape)
           << ": expected " << -rank << " to " << rank;
  axis = axis < 0 ? axis + rank : axis;
  ArrayRef<Dim> dims = *shape;
  context.setShape(0, {getNumElements(dims.take_front(axis)),
                       getNumElements(dims.drop_front(axis))});
  return success();
}

LogicalResult SqueezeOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  llvm::SmallBitVector removed(shape->size());
  if (context.hasOperand(1)) {
    auto axes = context.getConstants(1);
    if (!axes) {
      std::optional<Shape> count = context.getShape(1);
      if (count && count->size() == 1 && (*count)[0].isConstant() &&
          (*count)[0].getConstant() <= static_cast<int64_t>(shape->size()))
        context.setRank(0, shape->size() - (*count)[0].getConstant());
      return success();
    }
    for (int64_t axis : *axes) {
      std::optional<int64_t> position =
          context.normalizeAxis(axis, shape->size());
      if (!position)
        return failure();
      const Dim &dim = (*shape)[*position];
      if (dim.isConstant() && !dim.isConstant(1))
        return context.emitError()
               << "removes dimension " << *position << " of "
               << toString(*shape) << ", expected size 1";
      removed.set(*position);
    }
  } else {
    for (auto [i, dim] : llvm::enumerate(*shape)) {
      if (!dim.isConstant())
        return success(); // the rank depends on the size
      if (dim.isConstant(1))
        removed.set(i);
    }
  }
  Shape result;
  for (auto [i, dim] : llvm::enumerate(*shape))
    if (!removed[i])
      result.push_back(dim);
  context.setShape(0, result);
  return success();
}

LogicalResult UnsqueezeOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  auto axes = context.getConstants(1);
  if (!axes) {
    std::optional<Shape> count = context.getShape(1);
    if (count && count->size() == 1 && (*count)[0].isConstant())
      context.setRank(0, shape->size() + (*count)[0].getConstant());
    return success();
  }
  int64_t rank = shape->size() + axes->size();
  llvm::SmallBitVector inserted(rank);
  for (int64_t axis : *axes) {
    std::optional<int64_t> position = context.normalizeAxis(axis, rank);
    if (!position)
      return failure();
    if (inserted[*position])
      return context.emitError() << "inserts dimension " << *position
                                 << " twice, expected distinct axes";
    inserted.set(*position);
  }
  Shape result;
  auto next = shape->begin();
  for (int64_t i = 0; i < rank; ++i)
    result.push_back(inserted[i] ? Dim(1) : *next++);
  context.setShape(0, result);
  return success();
}

LogicalResult ExpandOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  std::optional<Shape> target = getShapeOperand(context, 1);
  if (!shape || !target)
    return success();
  Shape result;
  if (!broadcastShapes(*shape, *target, result))
    return context.emitError()
           << "cannot expand input of shape " << toString(*shape) << " to "
           << toString(*target);
  context.setShape(0, result);
  return success();
}

//===----------------------------------------------------------------------===//
// Data movement
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape) {
    if (getPerm())
      context.setRank(0, getPerm()->size());
    return success();
  }
  Shape result;
  if (!getPerm()) {
    result.assign(shape->rbegin(), shape->rend());
  } else {
    if (getPerm()->size() != shape->size())
      return context.emitError()
             << "perm has " << getPerm()->size()
             << " elements, but data has shape " << toString(*shape);
    for (int64_t position : getPermAttr().asArrayRef())
      result.push_back((*shape)[position]);
  }
  context.setShape(0, result);
  return success();
}

LogicalResult ConcatOp::inferShapes(InferContext &context) {
  Shape result;
  int64_t axis = 0;
  bool complete = true, first = true;
  Dim total(0);
  for (unsigned i = 0, e = getInputs().size(); i < e; ++i) {
    std::optional<Shape> shape = context.getShape(i);
    if (!shape) {
      complete = false;
      continue;
    }
    if (first) {
      result = *shape;
      std::optional<int64_t> position =
          context.normalizeAxis(getAxis(), shape->size());
      if (!position)
        return failure();
      axis = *position;
      first = false;
    }
    if (shape->size() != result.size())
      return context.emitError()
             << "cannot join shapes " << toString(result) << " and "
             << toString(*shape) << " of different rank";
    for (size_t d = 0; d < result.size(); ++d) {
      if (static_cast<int64_t>(d) == axis)
        continue;
      const Dim &dim = (*shape)[d];
      if (dim.isConstant() && result[d].isConstant() && dim != result[d])
        return context.emitError()
               << "cannot join shapes " << toString(result) << " and "
               << toString(*shape) << " along axis " << axis;
      if (dim.isConstant())
        result[d] = dim;
    }
    total = total + (*shape)[axis];
  }
  if (first)
    return success();
  result[axis] = complete ? total : Dim();
  context.setShape(0, result);
  return success();
}

LogicalResult SplitOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  std::optional<int64_t> axis = context.normalizeAxis(getAxis(), shape->size());
  if (!axis)
    return failure();
  int64_t parts = getOutputs().size();
  Dim size = (*shape)[*axis];
  SmallVector<Dim> sizes(parts, Dim());
  if (std::optional<Shape> split = context.getContents(1)) {
    if (static_cast<int64_t>(split->size()) != parts)
      return context.emitError()
             << "split has " << split->size() << " elements, but there are "
             << parts << " outputs";
    sizes.assign(split->begin(), split->end());
    Dim total(0);
    for (const Dim &part : sizes)
      total = total + part;
    if (total.isConstant() && size.isConstant() && total != size)
      return context.emitError()
             << "split " << toString(*split) << " has the sum "
             << total.getConstant() << ", but dimension " << *axis << " of "
             << toString(*shape) << " has " << size.getConstant();
  } else if (!context.hasOperand(1) && size.isConstant() && parts > 0) {
    int64_t chunk = llvm::divideCeil(size.getConstant(), parts);
    int64_t rest = size.getConstant();
    for (Dim &part : sizes) {
      part = Dim(std::min(chunk, rest));
      rest -= part.getConstant();
    }
  } else if (!context.hasOperand(1) && parts == 1) {
    sizes[0] = size;
  }
  for (int64_t i = 0; i < parts; ++i) {
    (*shape)[*axis] = sizes[i];
    context.setShape(i, *shape);
  }
  return success();
}

LogicalResult SliceOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  int64_t rank = shape->size();
  std::optional<Shape> starts = context.getContents(1),
                       ends = context.getContents(2);
  auto axes = context.getConstants(3);
  auto steps = context.getConstants(4);
  size_t count = starts ? starts->size() : ends ? ends->size() : 0;
  if (!context.hasOperand(3)) {
    axes.emplace();
    for (size_t i = 0; i < count; ++i)
      axes->push_back(i);
  }
  if (!axes || (!starts && !ends)) {
    context.setRank(0, rank);
    return success();
  }
  if ((starts && starts->size() != axes->size()) ||
      (ends && ends->size() != axes->size()) ||
      (steps && steps->size() != axes->size()))
    return context.emitError()
           << "starts, ends, axes and steps have different lengths ("
           << (starts ? starts->size() : 0) << ", " << (ends ? ends->size() : 0)
           << ", " << axes->size() << ", "
           << (steps ? steps->size() : axes->size()) << ")";
  for (auto [i, axis] : llvm::enumerate(*axes)) {
    std::optional<int64_t> position = context.normalizeAxis(axis, rank);
    if (!position)
      return failure();
    Dim &dim = (*shape)[*position];
    Dim start = starts ? (*starts)[i] : Dim(), end = ends ? (*ends)[i] : Dim();
    if (context.hasOperand(4) && !steps) {
      dim = Dim();
      continue;
    }
    // No tensor tells the smallest number, which has no negative, from the
    // next.
    int64_t step = steps ? std::max((*steps)[i], -INT64_MAX) : 1;
    if (step == 0)
      return context.emitError() << "step of axis " << *position << " is 0";
    // A slice from 0 to beyond any size keeps a symbolic dimension; so does a
    // whole one that walks backwards.
    if (!dim.isConstant()) {
      bool whole =
          step == 1 && start.isConstant(0) &&
          ((end.isConstant() && end.getConstant() >= INT32_MAX) || end == dim);
      whole |= step == -1 && start.isConstant(-1) && end.isConstant() &&
               end.getConstant() <= INT32_MIN;
      if (!whole)
        dim = Dim();
      continue;
    }
    if (!start.isConstant() || !end.isConstant()) {
      dim = Dim();
      continue;
    }
    int64_t size = dim.getConstant();
    int64_t low = start.getConstant(), high = end.getConstant();
    low = low < 0 ? low + size : low;
    high = high < 0 ? std::max<int64_t>(high + size, -1) : high;
    if (step > 0) {
      low = std::clamp<int64_t>(low, 0, size);
      high = std::clamp<int64_t>(high, 0, size);
      dim = Dim(std::max<int64_t>(0, llvm::divideCeilSigned(high - low, step)));
    } else {
      low = std::clamp<int64_t>(low, 0, size - 1);
      high = std::clamp<int64_t>(high, -1, size - 1);
      dim =
          Dim(std::max<int64_t>(0, llvm::divideCeilSigned(low - high, -step)));
    }
  }
  context.setShape(0, *shape);
  return success();
}

LogicalResult PadOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  std::optional<Shape> pads = context.getContents(1);
  auto axes = context.getConstants(3);
  if (!context.hasOperand(3))
    axes = llvm::to_vector(llvm::seq<int64_t>(0, shape->size()));
  if (!pads || !axes) {
    context.setRank(0, shape->size());
    return success();
  }
  if (pads->size() != 2 * axes->size())
    return context.emitError()
           << "pads has " << pads->size() << " elements, expected "
           << 2 * axes->size() << " for data of shape " << toString(*shape);
  for (auto [i, axis] : llvm::enumerate(*axes)) {
    std::optional<int64_t> position =
        context.normalizeAxis(axis, shape->size());
    if (!position)
      return failure();
    Dim &dim = (*shape)[*position];
    dim = dim + (*pads)[i] + (*pads)[axes->size() + i];
    if (dim.isConstant() && dim.getConstant() < 0)
      return context.emitError()
             << "pads " << toString(*pads) << " remove more than dimension "
             << *position << " has";
  }
  context.setShape(0, *shape);
  return success();
}

LogicalResult TileOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  std::optional<Shape> repeats = context.getContents(1);
  if (!repeats) {
    context.setRank(0, shape->size());
    return success();
  }
  if (repeats->size() != shape->size())
    return context.emitError()
           << "repeats has " << repeats->size()
           << " elements, but input has shape " << toString(*shape);
  for (auto [dim, repeat] : llvm::zip_equal(*shape, *repeats))
    dim = dim * repeat;
  context.setShape(0, *shape);
  return success();
}

LogicalResult DepthToSpaceOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  if (failed(context.checkRank("input", *shape, 4, 4)))
    return failure();
  int64_t block = getBlocksize();
  Dim depth = (*shape)[1].exactDiv(Dim(block * block));
  if ((*shape)[1].isConstant() && !depth.isKnown())
    return context.emitError()
           << "input has shape " << toString(*shape)
           << ", expected channels divisible by " << block * block;
  context.setShape(0, {(*shape)[0], depth, (*shape)[2] * Dim(block),
                       (*shape)[3] * Dim(block)});
  return success();
}

LogicalResult SpaceToDepthOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  if (failed(context.checkRank("input", *shape, 4, 4)))
    return failure();
  int64_t block = getBlocksize();
  Dim height = (*shape)[2].exactDiv(Dim(block)),
      width = (*shape)[3].exactDiv(Dim(block));
  if (((*shape)[2].isConstant() && !height.isKnown()) ||
      ((*shape)[3].isConstant() && !width.isKnown()))
    return context.emitError()
           << "input has shape " << toString(*shape)
           << ", expected height and width divisible by " << block;
  context.setShape(
      0, {(*shape)[0], (*shape)[1] * Dim(block * block), height, width});
  return success();
}
