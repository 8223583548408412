//===- InferVisionOps.cpp - Shapes of operators on images and boxes -------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "nibble/Dialect/ONNX/IR/Window.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

LogicalResult AffineGridOp::inferShapes(InferContext &context) {
  std::optional<Shape> theta = context.getShape(0), count = context.getShape(1);
  if (theta && failed(context.checkRank("theta", *theta, 3, 3)))
    return failure();
  int64_t spatial = 0;
  if (theta && (*theta)[1].isConstant())
    spatial = (*theta)[1].getConstant();
  else if (count && count->size() == 1 && (*count)[0].isConstant())
    spatial = (*count)[0].getConstant() - 2;
  if (spatial == 0)
    return success();
  if (spatial != 2 && spatial != 3)
    return context.emitError() << "theta has shape " << toString(*theta)
                               << ", expected matrices of 2x3 or 3x4";
  Shape result(spatial + 1, Dim());
  if (std::optional<Shape> size = context.getContents(1)) {
    if (static_cast<int64_t>(size->size()) != spatial + 2)
      return context.emitError() << "size has " << size->size()
                                 << " elements, expected " << spatial + 2;
    result.assign(size->begin() + 1, size->end());
    result[0] = (*size)[0];
  } else if (theta) {
    result[0] = (*theta)[0];
  }
  result.push_back(Dim(spatial));
  context.setShape(0, result);
  return success();
}

LogicalResult GridSampleOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0), grid = context.getShape(1);
  if (!x || !grid)
    return success();
  if (failed(context.checkRank("X", *x, 3, INT_MAX)) ||
      failed(context.checkRank("grid", *grid, x->size(), x->size())))
    return failure();
  int64_t spatial = x->size() - 2;
  if (grid->back().isConstant() && !grid->back().isConstant(spatial))
    return context.emitError()
           << "grid has shape " << toString(*grid) << ", expected " << spatial
           << " coordinates in its last dimension";
  Shape result{(*x)[0], (*x)[1]};
  if (!result[0].isConstant())
    result[0] = (*grid)[0];
  result.append(grid->begin() + 1, grid->end() - 1);
  context.setShape(0, result);
  return success();
}

LogicalResult DeformConvOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0), w = context.getShape(1);
  if (!x || !w)
    return success();
  if (failed(context.checkRank("X", *x, 4, 4)) ||
      failed(context.checkRank("W", *w, 4, 4)))
    return failure();
  Shape result{(*x)[0], (*w)[0]};
  if (!(*w)[2].isConstant() || !(*w)[3].isConstant()) {
    result.append({Dim(), Dim()});
  } else {
    int64_t kernel[] = {(*w)[2].getConstant(), (*w)[3].getConstant()};
    FailureOr<WindowAttrs> window =
        WindowAttrs::get(*this, kernel, [&] { return context.emitError(); });
    if (failed(window))
      return failure();
    for (unsigned d : {0, 1})
      result.push_back(window->getWindowCount(d, (*x)[d + 2]));
  }
  context.setShape(0, result);
  return success();
}

LogicalResult CenterCropPadOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (!x)
    return success();
  SmallVector<int64_t> axes;
  if (getAxes())
    axes = llvm::to_vector(*getAxes());
  else
    axes = llvm::to_vector(llvm::seq<int64_t>(0, x->size()));
  std::optional<Shape> sizes = context.getContents(1);
  if (sizes && sizes->size() != axes.size())
    return context.emitError() << "shape has " << sizes->size()
                               << " elements, expected one for each of the "
                               << axes.size() << " axes";
  for (auto [i, axis] : llvm::enumerate(axes)) {
    std::optional<int64_t> d = context.normalizeAxis(axis, x->size());
    if (!d)
      return failure();
    (*x)[*d] = sizes ? (*sizes)[i] : Dim();
  }
  context.setShape(0, *x);
  return success();
}

LogicalResult Col2ImOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (x && failed(context.checkRank("input", *x, 3, 3)))
    return failure();
  std::optional<Shape> image = context.getContents(1);
  std::optional<Shape> block = context.getContents(2);
  std::optional<Shape> count = context.getShape(1);
  int64_t spatial = 0;
  if (image)
    spatial = image->size();
  else if (count && count->size() == 1 && (*count)[0].isConstant())
    spatial = (*count)[0].getConstant();
  if (spatial == 0)
    return success();
  if (block && static_cast<int64_t>(block->size()) != spatial)
    return context.emitError() << "block_shape has " << block->size()
                               << " elements, image_shape " << spatial;
  Shape result(2 + spatial, Dim());
  if (x)
    result[0] = (*x)[0];
  if (x && block) {
    Dim window = getNumElements(*block);
    result[1] = (*x)[1].exactDiv(window);
    if ((*x)[1].isConstant() && window.isConstant() && !result[1].isKnown())
      return context.emitError()
             << "input has shape " << toString(*x)
             << ", expected a multiple of the window's " << window.getConstant()
             << " elements in dimension 1";
  }
  if (image)
    llvm::copy(*image, result.begin() + 2);
  context.setShape(0, result);
  return success();
}

LogicalResult MaxUnpoolOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (!x)
    return success();
  int64_t spatial = getKernelShape().size();
  if (failed(context.checkRank("X", *x, spatial + 2, spatial + 2)))
    return failure();
  if (context.hasOperand(2)) {
    std::optional<Shape> shape = context.getContents(2);
    if (shape && shape->size() != x->size())
      return context.emitError() << "output_shape has " << shape->size()
                                 << " elements, expected " << x->size();
    shape ? context.setShape(0, *shape) : context.setRank(0, x->size());
    return success();
  }
  FailureOr<WindowAttrs> window = WindowAttrs::get(
      *this, getKernelShape(), [&] { return context.emitError(); });
  if (failed(window))
    return failure();
  Shape result{(*x)[0], (*x)[1]};
  for (int64_t d = 0; d < spatial; ++d) {
    const Dim &n = (*x)[d + 2];
    result.push_back(n.isConstant()
                         ? Dim((n.getConstant() - 1) * window->strides[d] -
                               window->pads[d] - window->pads[d + spatial] +
                               window->kernel[d])
                         : Dim());
  }
  context.setShape(0, result);
  return success();
}

/// Regions (count, `width`) of an image make (count, channels, height, width).
static LogicalResult inferRegions(InferContext &context, int64_t width,
                                  ArrayRef<int64_t> size) {
  std::optional<Shape> x = context.getShape(0), rois = context.getShape(1);
  Shape result{Dim(), Dim(), Dim(size[0]), Dim(size[1])};
  if (x) {
    if (failed(context.checkRank("X", *x, 4, 4)))
      return failure();
    result[1] = (*x)[1];
  }
  if (rois) {
    if (failed(context.checkRank("rois", *rois, 2, 2)))
      return failure();
    if ((*rois)[1].isConstant() && !(*rois)[1].isConstant(width))
      return context.emitError() << "rois has shape " << toString(*rois)
                                 << ", expected " << width << " columns";
    result[0] = (*rois)[0];
  }
  context.setShape(0, result);
  return success();
}

LogicalResult RoiAlignOp::inferShapes(InferContext &context) {
  return inferRegions(context, 4,
                      {static_cast<int64_t>(getOutputHeight()),
                       static_cast<int64_t>(getOutputWidth())});
}

LogicalResult MaxRoiPoolOp::inferShapes(InferContext &context) {
  if (getPooledShape().size() != 2)
    return context.emitError() << "pooled_shape has " << getPooledShape().size()
                               << " elements, expected 2";
  return inferRegions(context, 5, getPooledShape());
}

LogicalResult NonMaxSuppressionOp::inferShapes(InferContext &context) {
  std::optional<Shape> boxes = context.getShape(0);
  std::optional<Shape> scores = context.getShape(1);
  if (boxes && failed(context.checkRank("boxes", *boxes, 3, 3)))
    return failure();
  if (boxes && (*boxes)[2].isConstant() && !(*boxes)[2].isConstant(4))
    return context.emitError() << "boxes has shape " << toString(*boxes)
                               << ", expected 4 numbers a box";
  if (scores && failed(context.checkRank("scores", *scores, 3, 3)))
    return failure();
  context.setShape(0, {Dim(), Dim(3)});
  return success();
}

LogicalResult ImageDecoderOp::inferShapes(InferContext &context) {
  context.setShape(
      0, {Dim(), Dim(), Dim(getPixelFormat() == "Grayscale" ? 1 : 3)});
  return success();
}
