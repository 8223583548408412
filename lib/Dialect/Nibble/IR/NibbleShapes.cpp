//===- NibbleShapes.cpp - Sizes of results --------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

using namespace mlir;
using namespace nibble;

namespace {

/// Dimension `dim` of `value`: a constant where the type tells, else an
/// operation that asks the tensor or memref.
OpFoldResult getSize(OpBuilder &b, Location loc, Value value, int64_t dim) {
  int64_t size = cast<ShapedType>(value.getType()).getDimSize(dim);
  if (!ShapedType::isDynamic(size))
    return b.getIndexAttr(size);
  return linalg::createOrFoldDimOp(b, loc, value, dim);
}

SmallVector<OpFoldResult> getSizes(OpBuilder &b, Location loc, Value value) {
  int64_t rank = cast<ShapedType>(value.getType()).getRank();
  SmallVector<OpFoldResult> sizes;
  for (int64_t d = 0; d < rank; ++d)
    sizes.push_back(getSize(b, loc, value, d));
  return sizes;
}

template <typename OpTy>
void reifyMatMul(OpTy op, OpBuilder &b, ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> sizes = getSizes(b, op.getLoc(), op.getInput());
  sizes.back() = b.getIndexAttr(op.getN());
  shapes.push_back(std::move(sizes));
}

template <typename OpTy>
void reifyConv(OpTy op, OpBuilder &b, ReifiedRankedShapedTypeDims &shapes) {
  Location loc = op.getLoc();
  ArrayRef<int64_t> weight = op.getWeightShape();
  int64_t spatial = weight.size() - 2;
  SmallVector<OpFoldResult> sizes = {getSize(b, loc, op.getInput(), 0),
                                     b.getIndexAttr(weight[0])};
  AffineExpr input = b.getAffineSymbolExpr(0);
  for (int64_t i = 0; i < spatial; ++i) {
    int64_t kernel = op.getDilations()[i] * (weight[i + 2] - 1) + 1;
    int64_t padding = op.getPads()[i] + op.getPads()[i + spatial];
    AffineExpr output =
        (input + (padding - kernel)).floorDiv(op.getStrides()[i]) + 1;
    sizes.push_back(affine::makeComposedFoldedAffineApply(
        b, loc, AffineMap::get(0, 1, output),
        {getSize(b, loc, op.getInput(), i + 2)}));
  }
  shapes.push_back(std::move(sizes));
}

} // namespace

LogicalResult MatMulOp::reifyResultShapes(OpBuilder &b,
                                          ReifiedRankedShapedTypeDims &shapes) {
  reifyMatMul(*this, b, shapes);
  return success();
}

LogicalResult
MatMulIntegerOp::reifyResultShapes(OpBuilder &b,
                                   ReifiedRankedShapedTypeDims &shapes) {
  reifyMatMul(*this, b, shapes);
  return success();
}

LogicalResult
AttentionOp::reifyResultShapes(OpBuilder &b,
                               ReifiedRankedShapedTypeDims &shapes) {
  Location loc = getLoc();
  bool byToken = getQueryByToken();
  SmallVector<OpFoldResult> sizes = {
      getSize(b, loc, getQuery(), 0),
      getSize(b, loc, getQuery(), getHeadDim(byToken)),
      getSize(b, loc, getQuery(), getTokenDim(byToken)),
      getSize(b, loc, getValue(), 3)};
  if (getResultByToken())
    std::swap(sizes[1], sizes[2]);
  shapes.push_back(std::move(sizes));
  return success();
}

LogicalResult
QuantizeDynamicOp::reifyResultShapes(OpBuilder &b,
                                     ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> sizes = getSizes(b, getLoc(), getInput());
  SmallVector<OpFoldResult> rows(ArrayRef(sizes).take_front(getRowRank()));
  shapes.push_back(std::move(sizes));
  shapes.push_back(rows);
  shapes.push_back(std::move(rows));
  return success();
}

LogicalResult
QuantizeOutliersOp::reifyResultShapes(OpBuilder &b,
                                      ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> sizes = getSizes(b, getLoc(), getInput());
  SmallVector<OpFoldResult> rows(ArrayRef(sizes).drop_back());
  SmallVector<OpFoldResult> columns = {sizes.back()};
  shapes.push_back(std::move(sizes));
  shapes.push_back(std::move(rows));
  shapes.push_back(std::move(columns));
  shapes.push_back({b.getIndexAttr(1)});
  return success();
}

LogicalResult
MatMulOutliersOp::reifyResultShapes(OpBuilder &b,
                                    ReifiedRankedShapedTypeDims &shapes) {
  reifyMatMul(*this, b, shapes);
  return success();
}

LogicalResult ConvOp::reifyResultShapes(OpBuilder &b,
                                        ReifiedRankedShapedTypeDims &shapes) {
  reifyConv(*this, b, shapes);
  return success();
}

LogicalResult
ConvIntegerOp::reifyResultShapes(OpBuilder &b,
                                 ReifiedRankedShapedTypeDims &shapes) {
  reifyConv(*this, b, shapes);
  return success();
}

LogicalResult GatherOp::reifyResultShapes(OpBuilder &b,
                                          ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> sizes = getSizes(b, getLoc(), getIndices());
  sizes.push_back(b.getIndexAttr(getWidth()));
  shapes.push_back(std::move(sizes));
  return success();
}
