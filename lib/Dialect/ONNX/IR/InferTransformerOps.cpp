//===- InferTransformerOps.cpp - Shapes of transformers' operators --------===//
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
// Attention
//===----------------------------------------------------------------------===//

/// One symbol for a length that is not known, so that the present keys and
/// values agree.
static Dim orSymbol(Dim length, InferContext &context) {
  return length.isKnown() ? length : context.getState().makeSymbol();
}

/// The size of a head: an error if the width is known and cannot be cut in
/// `heads` parts.
static FailureOr<Dim> getHeadSize(InferContext &context, StringRef what,
                                  const Dim &width, int64_t heads) {
  if (width.isConstant() && width.getConstant() % heads != 0)
    return context.emitError()
           << what << " has " << width.getConstant()
           << " columns, expected a multiple of " << heads << " heads";
  return width.exactDiv(Dim(heads));
}

LogicalResult
MicrosoftGroupQueryAttentionOp::inferShapes(InferContext &context) {
  int64_t heads = getNumHeads(), kvHeads = getKvNumHeads();
  Type cacheType = context.getElementType(context.hasOperand(3) ? 3 : 0);
  if (cacheType)
    for (unsigned i : {1, 2})
      context.setElementType(i, cacheType);
  for (unsigned i : {1, 2, 3})
    context.setRank(i, 4);
  std::optional<Shape> query = context.getShape(0);
  if (!query) {
    context.setRank(0, 3);
    return success();
  }
  if (failed(context.checkRank("query", *query, 3, 3)))
    return failure();
  bool packed = !context.hasOperand(1);
  FailureOr<Dim> size = getHeadSize(context, "query", (*query)[2],
                                    packed ? heads + 2 * kvHeads : heads);
  if (failed(size))
    return failure();
  Dim batch = (*query)[0], length = (*query)[1];
  context.setShape(0, {batch, length, *size * Dim(heads)});

  Dim total, past(0);
  std::optional<Shape> contents = context.getContents(6);
  if (contents && contents->size() == 1)
    total = contents->front();
  if (context.hasOperand(3)) {
    std::optional<Shape> shape = context.getShape(3);
    if (shape && failed(context.checkRank("past_key", *shape, 4, 4)))
      return failure();
    past = shape ? (*shape)[2] : Dim();
  }
  Dim present = past.isConstant(0) ? total : Dim();
  if (past.isConstant() && total.isConstant())
    present = Dim(std::max(past.getConstant(), total.getConstant()));
  // A windowed cache keeps its size.
  if (getSlidingWindowCache())
    present = past;
  present = orSymbol(present, context);
  for (unsigned i : {1, 2})
    context.setShape(i, {batch, Dim(kvHeads), present, *size});
  context.setShape(3, {batch, Dim(heads), length, total});
  return success();
}

LogicalResult
MicrosoftMultiHeadAttentionOp::inferShapes(InferContext &context) {
  Dim heads(static_cast<int64_t>(getNumHeads()));
  context.setRank(0, 3);
  for (unsigned i : {1, 2, 3})
    context.setRank(i, 4);
  std::optional<Shape> query = context.getShape(0), key = context.getShape(1),
                       value = context.getShape(2), past = context.getShape(6);
  if (!query)
    return success();
  if (past && failed(context.checkRank("past_key", *past, 4, 4)))
    return failure();
  Dim length, size, valueSize;
  if (query->size() == 5) {
    length = (*query)[1];
    size = valueSize = (*query)[4];
  } else if (key && query->size() == 3) {
    FailureOr<Dim> width =
        getHeadSize(context, "query", (*query)[2], getNumHeads());
    if (failed(width))
      return failure();
    size = *width;
    length = (*key)[key->size() == 4 ? 2 : 1];
    if (key->size() == 5)
      valueSize = (*key)[4];
    else if (value && value->size() == 4)
      valueSize = (*value)[3];
    else if (value && value->size() == 3)
      valueSize = (*value)[2].exactDiv(heads);
  } else {
    return success();
  }
  if (context.hasOperand(6))
    length = past ? (*past)[2] + length : Dim();
  length = orSymbol(length, context);
  Dim batch = (*query)[0], queries = (*query)[1];
  context.setShape(0, {batch, queries, heads * valueSize});
  context.setShape(1, {batch, heads, length, size});
  context.setShape(2, {batch, heads, length, valueSize});
  context.setShape(3, {batch, heads, queries, length});
  return success();
}

LogicalResult MicrosoftAttentionOp::inferShapes(InferContext &context) {
  std::optional<Shape> input = context.getShape(0),
                       weights = context.getShape(1),
                       past = context.getShape(4);
  context.setRank(0, 3);
  context.setRank(1, 5);
  if (!input || !weights)
    return success();
  if (failed(context.checkRank("input", *input, 3, 3)) ||
      failed(context.checkRank("weights", *weights, 2, 2)) ||
      (past && failed(context.checkRank("past", *past, 5, 5))))
    return failure();
  Dim columns = (*weights)[1];
  if ((*input)[2].isConstant() && (*weights)[0].isConstant() &&
      (*input)[2] != (*weights)[0])
    return context.emitError()
           << "input of shape " << toString(*input) << " and weights of shape "
           << toString(*weights) << " cannot be multiplied";
  Dim heads(static_cast<int64_t>(getNumHeads())), width, valueWidth;
  if (std::optional<ArrayRef<int64_t>> sizes = getQkvHiddenSizes()) {
    width = Dim((*sizes)[0]);
    valueWidth = Dim((*sizes)[2]);
    int64_t sum = (*sizes)[0] + (*sizes)[1] + (*sizes)[2];
    if (columns.isConstant() && !columns.isConstant(sum))
      return context.emitError()
             << "weights have " << columns.getConstant()
             << " columns, expected the sum of qkv_hidden_sizes, " << sum;
  } else {
    FailureOr<Dim> size =
        getHeadSize(context, "weights", columns, 3 * getNumHeads());
    if (failed(size))
      return failure();
    width = valueWidth = *size * heads;
  }
  Dim length = (*input)[1];
  if (context.hasOperand(4))
    length = past ? (*past)[3] + length : Dim();
  context.setShape(0, {(*input)[0], (*input)[1], valueWidth});
  context.setShape(1, {Dim(2), (*input)[0], heads, orSymbol(length, context),
                       width.exactDiv(heads)});
  return success();
}

//===----------------------------------------------------------------------===//
// Normalization
//===----------------------------------------------------------------------===//

/// The result has the shape of X, the statistics ones from `axis` on.
static LogicalResult inferSimplifiedNorm(InferContext &context, int64_t axis) {
  std::optional<Shape> shape = context.getShape(0);
  if (!shape)
    return success();
  context.setShape(0, *shape);
  std::optional<int64_t> first = context.normalizeAxis(axis, shape->size());
  if (!first)
    return failure();
  std::fill(shape->begin() + *first, shape->end(), Dim(1));
  context.setShape(1, *shape);
  return success();
}

LogicalResult SimplifiedLayerNormalizationOp::inferShapes(InferContext &c) {
  return inferSimplifiedNorm(c, getAxis());
}

LogicalResult
MicrosoftSimplifiedLayerNormalizationOp::inferShapes(InferContext &c) {
  return inferSimplifiedNorm(c, getAxis());
}

LogicalResult
MicrosoftEmbedLayerNormalizationOp::inferShapes(InferContext &context) {
  std::optional<Shape> ids = context.getShape(0), table = context.getShape(2);
  context.setRank(0, 3);
  context.setRank(2, 3);
  context.setRank(1, 1);
  if (!ids || !table)
    return success();
  if (failed(context.checkRank("input_ids", *ids, 2, 2)) ||
      failed(context.checkRank("word_embedding", *table, 2, 2)))
    return failure();
  for (unsigned i : {0, 2})
    context.setShape(i, {(*ids)[0], (*ids)[1], (*table)[1]});
  context.setShape(1, {(*ids)[0]});
  return success();
}
