//===- Caches.cpp - Keys and values of the tokens before ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

/// The type that results when a size that is static in any part is the size of
/// all.
static RankedTensorType mergeTypes(RankedTensorType past,
                                   RankedTensorType fresh, int64_t axis) {
  SmallVector<int64_t> shape(past.getShape());
  for (auto [d, size] : llvm::enumerate(fresh.getShape())) {
    int64_t &merged = shape[d];
    if (static_cast<int64_t>(d) != axis)
      merged = ShapedType::isDynamic(merged) ? size : merged;
    else if (ShapedType::isDynamic(size) || ShapedType::isDynamic(merged))
      merged = ShapedType::kDynamic;
    else
      merged += size;
  }
  return RankedTensorType::get(shape, past.getElementType());
}

static void requireOtherSizes(OpLowering &l, Value past, Value written,
                              int64_t axis) {
  for (int64_t d = 0, e = l.sizes(past).size(); d < e; ++d)
    if (d != axis)
      l.requireEqual(l.size(written, d), l.size(past, d),
                     "dimension " + Twine(d) +
                         " of the cache and of what goes into it differs");
}

Value OpLowering::appendCache(Value past, Value fresh, int64_t axis) {
  auto pastType = cast<RankedTensorType>(past.getType());
  auto freshType = cast<RankedTensorType>(fresh.getType());
  if (pastType.getRank() != freshType.getRank() ||
      pastType.getElementType() != freshType.getElementType()) {
    (void)fail("the cache and what is appended to it differ in rank or type");
    return past;
  }
  requireOtherSizes(*this, past, fresh, axis);
  if (failed())
    return past;
  return AppendCacheOp::create(b, loc, mergeTypes(pastType, freshType, axis),
                               past, fresh, b.getI64IntegerAttr(axis),
                               IntegerAttr());
}

bool isPresent(Operation *concat, int64_t axis) {
  if (concat->getNumOperands() != 2 ||
      !isa<func::FuncOp>(concat->getParentOp()))
    return false;
  Value past = concat->getOperand(0), fresh = concat->getOperand(1);
  auto type = dyn_cast<RankedTensorType>(past.getType());
  auto isReturned = [](Operation *op) {
    return llvm::any_of(op->getResult(0).getUsers(), [](Operation *user) {
      return isa<func::ReturnOp>(user);
    });
  };
  return isa<BlockArgument>(past) && fresh.getDefiningOp() && axis != 0 &&
         type && type.isDynamicDim(axis) &&
         (isReturned(concat) ||
          llvm::any_of(concat->getResult(0).getUsers(), [&](Operation *user) {
            return user->getName().getStringRef() == "onnx.TensorScatter" &&
                   isReturned(user);
          }));
}

/// A cache [B, ..., maximum, ...] that each batch's update is written into,
/// from a position of its own, linearly or around the end.
static LogicalResult lowerTensorScatter(OpLowering &l) {
  Value cache = l.in(0), update = l.in(1);
  int64_t axis = l.getAxis("axis", -2, l.inRank(0));
  bool circular = l.getString("mode", "linear") == "circular";
  OpFoldResult count = l.size(update, axis), bound = l.size(cache, axis);
  Value starts = l.has(2) ? l.in(2) : Value();
  if (axis == 0)
    return l.fail("axis 0 is that of the batches");
  requireOtherSizes(l, cache, update, axis);
  if (starts)
    l.requireEqual(l.size(starts, 0), l.size(cache, 0),
                   "write_indices and the cache differ in batch");
  if (l.failed())
    return failure();

  Scalars s = l.scalars();
  Value limit = l.value(bound), written = l.value(count);
  if (starts) {
    // The position after the last one, in the batch that gets furthest.
    Value yes = s.integer(l.b.getI1Type(), 1);
    Value inside =
        l.reduce(starts, {0}, yes, [&](Scalars &s, ValueRange v) -> Value {
          Value i = s.toIndex(v[0]);
          Value fits = s.le(s.integer(i.getType(), 0), i);
          // Not i + written, which the largest indices would overflow.
          if (!circular)
            fits = arith::AndIOp::create(s.b, s.loc, fits,
                                         s.le(i, s.sub(limit, written)));
          return arith::AndIOp::create(s.b, s.loc, v[1], fits);
        });
    l.require(l.scalarOf(inside), "the update does not fit in the cache");
  } else if (!circular) {
    l.require(s.le(written, limit), "the update does not fit in the cache");
  }
  // Positions are taken modulo the size.
  if (circular) {
    Value zero = s.integer(limit.getType(), 0);
    l.require(arith::OrIOp::create(s.b, s.loc, s.le(written, zero),
                                   s.lt(zero, limit)),
              "the update does not fit in the cache");
  }
  Value present = UpdateCacheOp::create(
      l.b, l.loc, cache.getType(), cache, update, starts,
      l.b.getI64IntegerAttr(axis), circular ? l.b.getUnitAttr() : UnitAttr(),
      IntegerAttr());
  return l.done(present);
}

void addCaches(LowerTable &table) {
  table["onnx.TensorScatter"] = lowerTensorScatter;
}

} // namespace nibble::onnx_to_linalg
