//===- InferIndexingOps.cpp - Shapes of gathers, scatters and resampling --===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include <cmath>

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

LogicalResult GatherOp::inferShapes(InferContext &context) {
  std::optional<Shape> data = context.getShape(0),
                       indices = context.getShape(1);
  if (!data)
    return success();
  std::optional<int64_t> axis = context.normalizeAxis(getAxis(), data->size());
  if (!axis)
    return failure();
  if (!indices)
    return success();
  Shape result(data->begin(), data->begin() + *axis);
  result.append(indices->begin(), indices->end());
  result.append(data->begin() + *axis + 1, data->end());
  context.setShape(0, result);
  return success();
}

LogicalResult GatherElementsOp::inferShapes(InferContext &context) {
  std::optional<Shape> data = context.getShape(0),
                       indices = context.getShape(1);
  if (data && !context.normalizeAxis(getAxis(), data->size()))
    return failure();
  if (data && indices && data->size() != indices->size())
    return context.emitError()
           << "data has shape " << toString(*data) << ", indices "
           << toString(*indices) << ": expected the same rank";
  if (indices)
    context.setShape(0, *indices);
  else if (data)
    context.setRank(0, data->size());
  return success();
}

LogicalResult GatherNDOp::inferShapes(InferContext &context) {
  std::optional<Shape> data = context.getShape(0),
                       indices = context.getShape(1);
  if (!data || !indices)
    return success();
  if (failed(context.checkRank("indices", *indices, 1, INT_MAX)))
    return failure();
  if (!indices->back().isConstant())
    return success();
  int64_t batch = getBatchDims(), tuple = indices->back().getConstant();
  if (batch + tuple > static_cast<int64_t>(data->size()))
    return context.emitError()
           << "indices of shape " << toString(*indices) << " address "
           << batch + tuple << " dimensions of data with shape "
           << toString(*data);
  Shape result(indices->begin(), indices->end() - 1);
  result.append(data->begin() + batch + tuple, data->end());
  context.setShape(0, result);
  return success();
}

LogicalResult NonZeroOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  context.setShape(
      0, {shape ? Dim(shape->size()) : Dim(), context.getState().makeSymbol()});
  return success();
}

LogicalResult CompressOp::inferShapes(InferContext &context) {
  if (!getAxis()) {
    context.setRank(0, 1);
    return success();
  }
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  std::optional<int64_t> axis =
      context.normalizeAxis(*getAxis(), shape->size());
  if (!axis)
    return failure();
  (*shape)[*axis] = Dim();
  context.setShape(0, *shape);
  return success();
}

LogicalResult UniqueOp::inferShapes(InferContext &context) {
  Dim count = context.getState().makeSymbol();
  std::optional<Shape> shape = context.getShape(0);
  Dim total = shape ? getNumElements(*shape) : Dim();
  if (!getAxis()) {
    context.setShape(0, {count});
  } else if (shape) {
    std::optional<int64_t> axis =
        context.normalizeAxis(*getAxis(), shape->size());
    if (!axis)
      return failure();
    total = (*shape)[*axis];
    (*shape)[*axis] = count;
    context.setShape(0, *shape);
  }
  context.setShape(1, {count});
  context.setShape(2, {total});
  context.setShape(3, {count});
  return success();
}

/// The scales as far as they are constant.
static std::optional<SmallVector<float>> getConstantScales(ResizeOp op) {
  DenseFPElementsAttr scales;
  auto constant = op.getScales().getDefiningOp<ConstantOp>();
  if (!constant ||
      !(scales =
            dyn_cast_if_present<DenseFPElementsAttr>(constant.getElements())) ||
      !scales.getElementType().isF32())
    return std::nullopt;
  return llvm::to_vector(scales.getValues<float>());
}

LogicalResult ResizeOp::inferShapes(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  SmallVector<int64_t> axes;
  if (DenseI64ArrayAttr given = getAxesAttr()) {
    for (int64_t axis : given.asArrayRef()) {
      std::optional<int64_t> position =
          context.normalizeAxis(axis, shape->size());
      if (!position)
        return failure();
      axes.push_back(*position);
    }
  } else {
    axes = llvm::to_vector(llvm::seq<int64_t>(0, shape->size()));
  }
  auto checkCount = [&](StringRef what, size_t count) -> LogicalResult {
    if (count == axes.size())
      return success();
    return context.emitError()
           << what << " has " << count << " elements, expected " << axes.size()
           << " for X of shape " << toString(*shape);
  };

  if (std::optional<Shape> sizes = context.getContents(3);
      sizes && !sizes->empty()) {
    if (failed(checkCount("sizes", sizes->size())))
      return failure();
    // With another policy the sizes are bounds that both dimensions share.
    bool stretch = getKeepAspectRatioPolicy() == "stretch";
    for (auto [axis, size] : llvm::zip_equal(axes, *sizes))
      (*shape)[axis] = stretch ? size : Dim();
  } else if (std::optional<SmallVector<float>> scales =
                 getConstantScales(*this);
             scales && !scales->empty()) {
    if (failed(checkCount("scales", scales->size())))
      return failure();
    for (auto [axis, scale] : llvm::zip_equal(axes, *scales)) {
      Dim &dim = (*shape)[axis];
      if (!(scale > 0.0f && scale < 1e9f))
        return context.emitError() << "scale of dimension " << axis << " is "
                                   << scale << ", expected a positive number";
      if (scale == 1.0f)
        continue;
      if (dim.isConstant())
        dim = Dim(static_cast<int64_t>(
            std::floor(static_cast<float>(dim.getConstant()) * scale)));
      else if (scale == std::floor(scale))
        dim = dim * Dim(static_cast<int64_t>(scale));
      else
        dim = Dim();
    }
  } else {
    for (int64_t axis : axes)
      (*shape)[axis] = Dim();
  }
  context.setShape(0, *shape);
  return success();
}
