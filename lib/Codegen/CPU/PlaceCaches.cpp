//===- PlaceCaches.cpp - Caches become buffers ----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Dialect/Nibble/IR/Caches.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace nibble::codegen {
#define GEN_PASS_DEF_NIBBLEPLACECACHESPASS
#include "nibble/Codegen/CPU/CodegenCPU.h.inc"

namespace {

using Sizes = SmallVector<OpFoldResult>;

/// A part of `source` goes to a part of `target`, both of these sizes.
Value insertSlice(OpBuilder &b, Location loc, Value source, Value target,
                  const Sizes &offsets, const Sizes &sizes) {
  Sizes ones(offsets.size(), b.getIndexAttr(1));
  return tensor::InsertSliceOp::create(b, loc, source, target, offsets, sizes,
                                       ones);
}

/// The sequential loop over [0, count) that carries a tensor.
Value loop(OpBuilder &b, Location loc, OpFoldResult count, Value init,
           function_ref<Value(OpBuilder &, Value index, Value carried)> body) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  auto found = scf::ForOp::create(
      b, loc, zero, getValueOrCreateConstantIndexOp(b, loc, count), one, init,
      [&](OpBuilder &nested, Location, Value index, ValueRange carried) {
        scf::YieldOp::create(nested, loc, body(nested, index, carried[0]));
      });
  return found.getResult(0);
}

/// The new positions behind those of the past, in a buffer that holds it.
Value write(OpBuilder &b, AppendCacheOp op, Value room) {
  Location loc = op.getLoc();
  Sizes offsets(cast<ShapedType>(room.getType()).getRank(), b.getIndexAttr(0));
  offsets[op.getAxis()] =
      tensor::getMixedSize(b, loc, op.getPast(), op.getAxis());
  return insertSlice(b, loc, op.getFresh(), room, offsets,
                     tensor::getMixedSizes(b, loc, op.getFresh()));
}

/// The update of each batch at the position that it starts from. What goes
/// around the end is written position by position.
Value write(OpBuilder &b, UpdateCacheOp op, Value room) {
  Location loc = op.getLoc();
  int64_t axis = op.getAxis();
  Sizes sizes = tensor::getMixedSizes(b, loc, op.getUpdate());
  Value positions = getValueOrCreateConstantIndexOp(
      b, loc, tensor::getMixedSize(b, loc, op.getPast(), axis));
  Sizes ones(sizes.size(), b.getIndexAttr(1));
  auto writePart = [&](OpBuilder &b, Value into, Value batch, Sizes part,
                       OpFoldResult from, OpFoldResult to) -> Value {
    Sizes offsets(part.size(), b.getIndexAttr(0));
    offsets[0] = batch;
    offsets[axis] = from;
    part[0] = b.getIndexAttr(1);
    Value source = tensor::ExtractSliceOp::create(b, loc, op.getUpdate(),
                                                  offsets, part, ones);
    offsets[axis] = to;
    return insertSlice(b, loc, source, into, offsets, part);
  };
  return loop(b, loc, sizes[0], room, [&](OpBuilder &b, Value n, Value x) {
    Value start;
    if (op.getStarts())
      start = arith::IndexCastOp::create(
          b, loc, b.getIndexType(),
          tensor::ExtractOp::create(b, loc, op.getStarts(), n));
    else
      start = arith::ConstantIndexOp::create(b, loc, 0);
    if (!op.getCircular())
      return writePart(b, x, n, sizes, b.getIndexAttr(0), start);
    return loop(b, loc, sizes[axis], x, [&](OpBuilder &b, Value i, Value y) {
      Value to = arith::RemUIOp::create(
          b, loc, arith::AddIOp::create(b, loc, start, i), positions);
      Sizes part(sizes);
      part[axis] = b.getIndexAttr(1);
      return writePart(b, y, n, part, i, to);
    });
  });
}

/// The positions of the present.
Value getLength(OpBuilder &b, AppendCacheOp op) {
  Location loc = op.getLoc();
  auto size = [&](Value x) {
    return getValueOrCreateConstantIndexOp(
        b, loc, tensor::getMixedSize(b, loc, x, op.getAxis()));
  };
  return arith::AddIOp::create(b, loc, size(op.getPast()), size(op.getFresh()));
}

Value getLength(OpBuilder &b, UpdateCacheOp op) {
  return getValueOrCreateConstantIndexOp(
      b, op.getLoc(),
      tensor::getMixedSize(b, op.getLoc(), op.getPast(), op.getAxis()));
}

/// A buffer of the operation's own that begins with the past.
Value copyPast(OpBuilder &b, AppendCacheOp op) {
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getPresent().getType());
  Sizes past = tensor::getMixedSizes(b, loc, op.getPast());
  Sizes sizes(past), zeros(past.size(), b.getIndexAttr(0));
  sizes[op.getAxis()] = getLength(b, op);
  for (auto [size, known] : llvm::zip_equal(sizes, type.getShape()))
    if (!ShapedType::isDynamic(known))
      size = b.getIndexAttr(known);
  Value empty = tensor::EmptyOp::create(b, loc, sizes, type.getElementType());
  return insertSlice(b, loc, op.getPast(), empty, zeros, past);
}

/// Bufferization copies an argument that is written.
Value copyPast(OpBuilder &, UpdateCacheOp op) { return op.getPast(); }

struct PlaceCaches : impl::NibblePlaceCachesPassBase<PlaceCaches> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    SmallVector<Operation *> ops;
    function.walk([&](Operation *op) {
      if (isa<AppendCacheOp, UpdateCacheOp>(op))
        ops.push_back(op);
    });
    BitVector dropped(function.getNumResults());
    for (Operation *op : ops) {
      LogicalResult placed =
          llvm::TypeSwitch<Operation *, LogicalResult>(op)
              .Case<AppendCacheOp, UpdateCacheOp>(
                  [&](auto typed) { return place(typed, dropped); });
      if (failed(placed))
        return signalPassFailure();
    }
    if (dropped.none())
      return;
    function.walk([&](func::ReturnOp op) { op->eraseOperands(dropped); });
    if (failed(function.eraseResults(dropped)))
      signalPassFailure();
  }

private:
  template <typename OpTy>
  LogicalResult place(OpTy op, BitVector &dropped) {
    OpBuilder b(op);
    Value present;
    if (op.getCache()) {
      if (failed(keep(op, dropped)))
        return failure();
      auto type = cast<RankedTensorType>(op.getPresent().getType());
      auto room = ExtendCacheOp::create(
          b, op.getLoc(), ExtendCacheOp::getRoomType(type, op.getAxis()),
          getLength(b, op), op.getAxisAttr(), op.getCacheAttr());
      Value tensor = bufferization::ToTensorOp::create(
          b, op.getLoc(), type, room, /*restrict=*/true, /*writable=*/true);
      present = write(b, op, tensor);
      // What is written into it besides stays in it.
      Value last = present;
      if (auto append = dyn_cast<AppendCacheOp>(*op))
        if (UpdateCacheOp update = getUpdateOf(append))
          last = update.getPresent();
      // A read at the very end: the positions are written even if nothing else
      // reads them, and no later operation computes in place in the cache.
      b.setInsertionPoint(op->getBlock()->getTerminator());
      bufferization::MaterializeInDestinationOp::create(
          b, op.getLoc(), /*result=*/Type(), last, room, /*restrict=*/true,
          /*writable=*/true);
      ++numShared;
    } else {
      present = write(b, op, copyPast(b, op));
    }
    op.replaceAllUsesWith(present);
    op.erase();
    return success();
  }

  /// Notes what the past's argument stands for, and that its present is no
  /// result any more.
  template <typename OpTy>
  LogicalResult keep(OpTy op, BitVector &dropped) {
    func::FuncOp function = getOperation();
    auto past = dyn_cast<BlockArgument>(op.getPast());
    std::optional<unsigned> result;
    for (unsigned i = 0, e = function.getNumResults(); i != e; ++i)
      if (function.getResultAttr(i, cacheAttrName) == op.getCacheAttr())
        result = i;
    if (!past || !result || op->getParentOp() != function ||
        function.getArgAttr(past.getArgNumber(), cacheAttrName) !=
            op.getCacheAttr())
      return op.emitOpError("expected an argument as past and a result of the "
                            "function that '")
             << cacheAttrName << "' says are cache " << *op.getCache();
    Builder b(&getContext());
    NamedAttrList attrs(function.getResultAttrDict(*result));
    attrs.erase(cacheAttrName);
    auto entry = [&](StringRef name, Attribute value) {
      return b.getNamedAttr(name, value);
    };
    function.removeArgAttr(past.getArgNumber(), cacheAttrName);
    function.setArgAttr(
        past.getArgNumber(), keptCacheAttrName,
        b.getDictionaryAttr(
            {entry("attrs", attrs.getDictionary(&getContext())),
             entry("axis", op.getAxisAttr()), entry("cache", op.getCacheAttr()),
             entry("grows", b.getBoolAttr(isa<AppendCacheOp>(op))),
             entry("output", b.getI64IntegerAttr(*result)),
             entry("type",
                   TypeAttr::get(function.getResultTypes()[*result]))}));
    dropped.set(*result);
    return success();
  }
};

} // namespace
} // namespace nibble::codegen
