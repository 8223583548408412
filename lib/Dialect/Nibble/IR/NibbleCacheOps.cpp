//===- NibbleCacheOps.cpp - Keys and values that are kept -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verification.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "nibble/Dialect/Nibble/IR/Caches.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::verification;

namespace {

LogicalResult verifyAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis >= 0 && axis < rank)
    return success();
  return op->emitOpError("expected an axis in [0, ")
         << rank << "), got " << axis;
}

LogicalResult verifyCache(Operation *op, std::optional<int64_t> cache) {
  if (!cache || *cache >= 0)
    return success();
  return op->emitOpError("expected a cache of at least 0, got ") << *cache;
}

/// What holds for both operations on tensors: past, what is written into it,
/// and present agree in element type and in all sizes but along the axis.
template <typename OpTy>
LogicalResult verifyParts(OpTy op, StringRef name, Value written) {
  ShapedType past = getShaped(op.getPast());
  int64_t axis = op.getAxis();
  if (failed(verifyAxis(op, axis, past.getRank())) ||
      failed(verifyCache(op, op.getCache())))
    return failure();
  SmallVector<int64_t> expected(past.getShape());
  expected[axis] = ShapedType::kDynamic;
  if (failed(verifyElement(op, name, written, past.getElementType())) ||
      failed(verifyElement(op, "a result", op.getPresent(),
                           past.getElementType())) ||
      failed(verifyShape(op, name, written, expected)))
    return failure();
  return verifyShape(op, "a result", op.getPresent(), expected);
}

SmallVector<OpFoldResult> sizesOf(OpBuilder &b, Location loc, Value value) {
  SmallVector<OpFoldResult> sizes;
  ArrayRef<int64_t> shape = getShaped(value).getShape();
  for (auto [d, size] : llvm::enumerate(shape))
    sizes.push_back(ShapedType::isDynamic(size)
                        ? linalg::createOrFoldDimOp(b, loc, value, d)
                        : OpFoldResult(b.getIndexAttr(size)));
  return sizes;
}

/// A size that the result's type knows is better than a question.
SmallVector<OpFoldResult> refine(OpBuilder &b, SmallVector<OpFoldResult> sizes,
                                 Value result) {
  for (auto [size, known] :
       llvm::zip_equal(sizes, getShaped(result).getShape()))
    if (!ShapedType::isDynamic(known))
      size = b.getIndexAttr(known);
  return sizes;
}

} // namespace

//===----------------------------------------------------------------------===//
// AppendCacheOp
//===----------------------------------------------------------------------===//

LogicalResult AppendCacheOp::verify() {
  if (failed(verifyParts(*this, "fresh positions", getFresh())))
    return failure();
  int64_t axis = getAxis();
  int64_t past = getShaped(getPast()).getDimSize(axis);
  int64_t fresh = getShaped(getFresh()).getDimSize(axis);
  int64_t present = getShaped(getPresent()).getDimSize(axis);
  if (ShapedType::isDynamic(past) || ShapedType::isDynamic(fresh) ||
      ShapedType::isDynamic(present) || present == past + fresh)
    return success();
  return emitOpError("expected a result of ")
         << past + fresh << " positions, got " << present;
}

OpFoldResult AppendCacheOp::fold(FoldAdaptor) {
  int64_t axis = getAxis();
  auto stays = [&](Value empty, Value other) {
    return getShaped(empty).getDimSize(axis) == 0 &&
           other.getType() == getType();
  };
  // A cache that is shared stays one, whatever its type says.
  if (getCache())
    return {};
  if (stays(getPast(), getFresh()))
    return getFresh();
  if (stays(getFresh(), getPast()))
    return getPast();
  return {};
}

LogicalResult
AppendCacheOp::reifyResultShapes(OpBuilder &b,
                                 ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> sizes = sizesOf(b, getLoc(), getPast());
  OpFoldResult fresh = sizesOf(b, getLoc(), getFresh())[getAxis()];
  AffineExpr sum = b.getAffineSymbolExpr(0) + b.getAffineSymbolExpr(1);
  sizes[getAxis()] = affine::makeComposedFoldedAffineApply(
      b, getLoc(), AffineMap::get(0, 2, sum), {sizes[getAxis()], fresh});
  shapes.push_back(refine(b, std::move(sizes), getPresent()));
  return success();
}

//===----------------------------------------------------------------------===//
// UpdateCacheOp
//===----------------------------------------------------------------------===//

LogicalResult UpdateCacheOp::verify() {
  if (failed(verifyParts(*this, "an update", getUpdate())) ||
      failed(verifyShape(*this, "a result", getPresent(),
                         getShaped(getPast()).getShape())))
    return failure();
  if (!getStarts())
    return success();
  ShapedType starts = getShaped(getStarts());
  if (!starts.getElementType().isSignlessInteger())
    return emitOpError("expected starts of signless integers, got ")
           << starts.getElementType();
  if (getAxis() == 0)
    return emitOpError("expected an axis after the batches, got 0");
  return verifyShape(*this, "starts", getStarts(),
                     getShaped(getPast()).getShape().take_front());
}

LogicalResult
UpdateCacheOp::reifyResultShapes(OpBuilder &b,
                                 ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(refine(b, sizesOf(b, getLoc(), getPast()), getPresent()));
  return success();
}

//===----------------------------------------------------------------------===//
// ExtendCacheOp
//===----------------------------------------------------------------------===//

MemRefType ExtendCacheOp::getRoomType(RankedTensorType type, int64_t axis) {
  ArrayRef<int64_t> shape = type.getShape();
  SmallVector<int64_t> strides(shape.size(), ShapedType::kDynamic);
  int64_t stride = 1;
  for (int64_t d = shape.size(); d-- > axis;) {
    strides[d] = stride;
    if (ShapedType::isDynamic(shape[d]))
      break;
    stride *= shape[d];
  }
  return MemRefType::get(
      shape, type.getElementType(),
      StridedLayoutAttr::get(type.getContext(), /*offset=*/0, strides));
}

LogicalResult ExtendCacheOp::verify() {
  auto type = cast<MemRefType>(getRoom().getType());
  if (failed(verifyAxis(*this, getAxis(), type.getRank())) ||
      failed(verifyCache(*this, getCache())))
    return failure();
  MemRefType expected = getRoomType(
      RankedTensorType::get(type.getShape(), type.getElementType()), getAxis());
  if (type != expected)
    return emitOpError("expected a result of type ")
           << expected << ", got " << type;
  return success();
}

void ExtendCacheOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  // The context frees it, as a frame frees what is on the stack.
  effects.emplace_back(MemoryEffects::Allocate::get(),
                       getOperation()->getResult(0),
                       SideEffects::AutomaticAllocationScopeResource::get());
  effects.emplace_back(MemoryEffects::Write::get());
}

UpdateCacheOp nibble::getUpdateOf(AppendCacheOp append) {
  UpdateCacheOp found;
  for (OpOperand &use : append.getPresent().getUses()) {
    auto update = dyn_cast<UpdateCacheOp>(use.getOwner());
    if (isa<tensor::DimOp>(use.getOwner()))
      continue;
    if (!update || found || update->getBlock() != append->getBlock() ||
        use.get() != update.getPast() ||
        llvm::count(update->getOperands(), use.get()) != 1 ||
        update.getAxis() != append.getAxis())
      return {};
    found = update;
  }
  return found;
}
