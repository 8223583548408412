//===- InferMicrosoftOps.cpp - Shapes of operators of com.microsoft -------===//
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

//===----------------------------------------------------------------------===//
// Packed weights
//===----------------------------------------------------------------------===//

LogicalResult MicrosoftMatMulNBitsOp::inferShapes(InferContext &context) {
  std::optional<Shape> a = context.getShape(0);
  if (!a)
    return success();
  if (failed(context.checkRank("A", *a, 1, INT_MAX)))
    return failure();
  if (a->back().isConstant() && !a->back().isConstant(getK()))
    return context.emitError()
           << "A has shape " << toString(*a)
           << ", expected a last dimension of K = " << getK();
  a->back() = Dim(static_cast<int64_t>(getN()));
  context.setShape(0, *a);
  return success();
}

LogicalResult MicrosoftMatMulBnb4Op::inferShapes(InferContext &context) {
  std::optional<Shape> a = context.getShape(0);
  if (!a)
    return success();
  if (failed(context.checkRank("A", *a, 1, INT_MAX)))
    return failure();
  bool transposed = getTransB() != 0;
  int64_t inner = transposed ? getK() : getN();
  if (a->back().isConstant() && !a->back().isConstant(inner))
    return context.emitError() << "A has shape " << toString(*a)
                               << ", expected a last dimension of "
                               << (transposed ? "K = " : "N = ") << inner;
  a->back() = Dim(static_cast<int64_t>(transposed ? getN() : getK()));
  context.setShape(0, *a);
  return success();
}

LogicalResult
MicrosoftGatherBlockQuantizedOp::inferShapes(InferContext &context) {
  std::optional<Shape> data = context.getShape(0),
                       indices = context.getShape(1);
  if (!data || !indices)
    return success();
  int64_t rank = data->size(), bits = getBits(), block = getBlockSize();
  std::optional<int64_t> axis = context.normalizeAxis(getGatherAxis(), rank);
  std::optional<int64_t> quantized =
      context.normalizeAxis(getQuantizeAxis(), rank);
  if (!axis || !quantized)
    return failure();
  if (block < 16 || !llvm::isPowerOf2_64(block))
    return context.emitError() << "block_size is " << block
                               << ", expected a power of two of at least 16";
  Type element = context.getElementType(0);
  if (!element)
    return success();
  // Bytes hold several codes each along the last dimension.
  if (element.isUnsignedInteger(8)) {
    if (bits != 2 && bits != 4 && bits != 8)
      return context.emitError()
             << "bits is " << bits << ", expected 2, 4 or 8";
    if (*axis != 0 || *quantized != rank - 1)
      return context.emitError()
             << "gather_axis is " << *axis << " and quantize_axis "
             << *quantized << ", expected 0 and " << rank - 1
             << " for data of ui8";
    data->back() = data->back() * Dim(8 / bits);
  }
  Shape result(data->begin(), data->begin() + *axis);
  result.append(indices->begin(), indices->end());
  result.append(data->begin() + *axis + 1, data->end());
  context.setShape(0, result);
  return success();
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

LogicalResult MicrosoftQuantizeLinearOp::inferShapes(InferContext &context) {
  if (std::optional<Shape> shape = context.getShape(0))
    context.setShape(0, *shape);
  if (Type type = context.getElementType(2))
    context.setElementType(0, type);
  else if (!context.hasOperand(2))
    context.setElementType(
        0, IntegerType::get(getContext(), 8, IntegerType::Unsigned));
  return success();
}

/// Shape of a reduction along axes that an attribute lists.
static LogicalResult inferReduceAlong(InferContext &context,
                                      std::optional<ArrayRef<int64_t>> axes,
                                      bool keepDims) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  SmallVector<bool> reduced(shape->size(), !axes || axes->empty());
  for (int64_t axis : axes.value_or(ArrayRef<int64_t>())) {
    std::optional<int64_t> at = context.normalizeAxis(axis, shape->size());
    if (!at)
      return failure();
    reduced[*at] = true;
  }
  Shape result;
  for (auto [dim, isReduced] : llvm::zip_equal(*shape, reduced))
    if (!isReduced)
      result.push_back(dim);
    else if (keepDims)
      result.push_back(Dim(1));
  context.setShape(0, result);
  return success();
}

LogicalResult MicrosoftQLinearReduceMeanOp::inferShapes(InferContext &context) {
  return inferReduceAlong(context, getAxes(), getKeepdims() != 0);
}

LogicalResult MicrosoftReduceSumIntegerOp::inferShapes(InferContext &context) {
  return inferReduceAlong(context, getAxes(), getKeepdims() != 0);
}

/// With the channels last only the rank is known before the operator is
/// decomposed.
static LogicalResult inferWindows(InferContext &context, bool channelsLast,
                                  function_ref<LogicalResult()> infer) {
  if (channelsLast)
    return onnx::detail::inferSameRank(context);
  return infer();
}

LogicalResult
MicrosoftQLinearAveragePoolOp::inferShapes(InferContext &context) {
  return inferWindows(context, getChannelsLast() != 0,
                      [&] { return onnx::detail::inferPool(context); });
}

LogicalResult
MicrosoftQLinearGlobalAveragePoolOp::inferShapes(InferContext &context) {
  return inferWindows(context, getChannelsLast() != 0,
                      [&] { return onnx::detail::inferGlobalPool(context); });
}

LogicalResult MicrosoftQLinearConvOp::inferShapes(InferContext &context) {
  return inferWindows(context, getChannelsLast() != 0, [&] {
    return onnx::detail::inferConvOf(context, 0, 3, getGroup());
  });
}

LogicalResult MicrosoftQLinearAddOp::inferShapes(InferContext &context) {
  return onnx::detail::inferBroadcastOf(context, {0, 3});
}

LogicalResult MicrosoftQLinearMulOp::inferShapes(InferContext &context) {
  return onnx::detail::inferBroadcastOf(context, {0, 3});
}

LogicalResult MicrosoftMulIntegerOp::inferShapes(InferContext &context) {
  return onnx::detail::inferBroadcastOf(context, {0, 2});
}

LogicalResult MicrosoftQLinearWhereOp::inferShapes(InferContext &context) {
  return onnx::detail::inferBroadcastOf(context, {0, 1, 4});
}

LogicalResult MicrosoftQLinearConcatOp::inferShapes(InferContext &context) {
  std::optional<Shape> result;
  for (unsigned i = 2, e = getNumOperands(); i < e; i += 3) {
    std::optional<Shape> shape = context.getShape(i);
    if (!shape)
      return success();
    std::optional<int64_t> axis =
        context.normalizeAxis(getAxis(), shape->size());
    if (!axis)
      return failure();
    if (!result) {
      result = shape;
      continue;
    }
    if (result->size() != shape->size())
      return context.emitError()
             << "cannot join shapes " << toString(*result) << " and "
             << toString(*shape) << ": the ranks differ";
    (*result)[*axis] = (*result)[*axis] + (*shape)[*axis];
  }
  context.setShape(0, *result);
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Shape of A' * B', both matrices.
static LogicalResult inferGemm(InferContext &context, unsigned left,
                               unsigned right, bool transA, bool transB) {
  std::optional<Shape> a = context.getShape(left), b = context.getShape(right);
  if (!a || !b) {
    context.setRank(0, 2);
    return success();
  }
  if (failed(context.checkRank("A", *a, 2, 2)) ||
      failed(context.checkRank("B", *b, 2, 2)))
    return failure();
  context.setShape(0, {(*a)[transA ? 1 : 0], (*b)[transB ? 0 : 1]});
  return success();
}

LogicalResult MicrosoftQGemmOp::inferShapes(InferContext &context) {
  Type type = Float32Type::get(getContext());
  if (context.hasOperand(8))
    type = context.getElementType(8);
  context.setElementType(0, type);
  return inferGemm(context, 0, 3, getTransA() != 0, getTransB() != 0);
}

LogicalResult MicrosoftFusedGemmOp::inferShapes(InferContext &context) {
  return inferGemm(context, 0, 1, getTransA() != 0, getTransB() != 0);
}

LogicalResult
MicrosoftMatMulIntegerToFloatOp::inferShapes(InferContext &context) {
  return onnx::detail::inferMatMulOf(context, 0, 1);
}

LogicalResult
MicrosoftDynamicQuantizeMatMulOp::inferShapes(InferContext &context) {
  return onnx::detail::inferMatMulOf(context, 0, 1);
}

LogicalResult MicrosoftMatMulInteger16Op::inferShapes(InferContext &context) {
  return onnx::detail::inferMatMulOf(context, 0, 1);
}

LogicalResult MicrosoftFusedConvOp::inferShapes(InferContext &context) {
  return onnx::detail::inferConvOf(context, 0, 1, getGroup());
}

/// Of a product whose operands are transposed first, only the rank: the
/// standard operators that it becomes tell the rest.
LogicalResult MicrosoftFusedMatMulOp::inferShapes(InferContext &context) {
  std::optional<Shape> a = context.getShape(0), b = context.getShape(1);
  if (a && b && a->size() >= 2 && b->size() >= 2)
    context.setRank(0, std::max(a->size(), b->size()));
  return success();
}

LogicalResult MicrosoftTransposeMatMulOp::inferShapes(InferContext &context) {
  std::optional<Shape> a = context.getShape(0), b = context.getShape(1);
  if (a && b && a->size() >= 2 && b->size() >= 2)
    context.setRank(0, std::max(a->size(), b->size()));
  return success();
}

//===----------------------------------------------------------------------===//
// Normalization
//===----------------------------------------------------------------------===//

/// The result and the sum have the shape of the input, statistics end in one.
static LogicalResult inferSkipNorm(InferContext &context) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  if (failed(context.checkRank("input", *shape, 1, INT_MAX)))
    return failure();
  context.setShape(0, *shape);
  context.setShape(3, *shape);
  shape->back() = Dim(1);
  context.setShape(1, *shape);
  context.setShape(2, *shape);
  return success();
}

LogicalResult
MicrosoftSkipLayerNormalizationOp::inferShapes(InferContext &context) {
  return inferSkipNorm(context);
}

LogicalResult MicrosoftSkipSimplifiedLayerNormalizationOp::inferShapes(
    InferContext &context) {
  return inferSkipNorm(context);
}
