//===- Indexing.cpp - Gather, scatter and selection
//---------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

/// Checks that all indices are in [-n, n); constant ones when compiling.
static void requireInBounds(OpLowering &l, unsigned operand, Value indices,
                            OpFoldResult n) {
  auto size = getConstantIntValue(n);
  if (auto constants = l.constInts(operand); constants && size) {
    for (int64_t i : *constants)
      if (i < -*size || i >= *size) {
        (void)l.fail("index " + Twine(i) + " is out of bounds for size " +
                     Twine(*size));
        return;
      }
    return;
  }
  l.requireIndices(indices, n, /*allowNegative=*/true,
                   "an index is out of bounds");
}

/// A negative index counts from the end.
static Value wrapIndex(Scalars &s, Value i, Value n) {
  i = s.toIndex(i);
  return s.select(s.lt(i, s.integer(i.getType(), 0)), s.add(i, n), i);
}

//===----------------------------------------------------------------------===//
// Gather
//===----------------------------------------------------------------------===//

static LogicalResult lowerGather(OpLowering &l) {
  Value data = l.in(0), indices = l.in(1);
  int64_t rank = l.inRank(0), indexRank = l.inRank(1);
  int64_t axis = l.getAxis("axis", 0, rank);
  OpFoldResult n = l.size(data, axis);

  // Elements of a shape.
  auto constants = l.constInts(1);
  if (auto known = l.knownElements(data);
      known && constants && rank == 1 && indexRank <= 1) {
    SmallVector<Value> picked;
    int64_t count = known->size();
    for (int64_t i : *constants) {
      if (i < -count || i >= count)
        return l.fail("index " + Twine(i) + " is out of bounds for size " +
                      Twine(count));
      picked.push_back((*known)[i < 0 ? i + count : i]);
    }
    return l.done(l.fromElements(
        picked, RankedTensorType::get(l.inType(1).getShape(), l.outElem())));
  }

  requireInBounds(l, 1, indices, n);
  Value bound = l.value(n);
  SmallVector<OpFoldResult> sizes = l.sizes(data);
  if (indexRank == 0) {
    // One index selects a slice.
    Scalars s = l.scalars();
    OpFoldResult offset;
    if (constants && getConstantIntValue(n))
      offset = l.index(constants->front() < 0
                           ? constants->front() + *getConstantIntValue(n)
                           : constants->front());
    else
      offset = wrapIndex(s, l.scalarOf(indices), bound);
    Value part = l.slice(data, axis, offset, l.index(1));
    sizes.erase(sizes.begin() + axis);
    return l.done(l.reshape(part, sizes));
  }
  SmallVector<OpFoldResult> indexSizes = l.sizes(indices);
  sizes.erase(sizes.begin() + axis);
  sizes.insert(sizes.begin() + axis, indexSizes.begin(), indexSizes.end());
  return l.done(
      l.generate(sizes, l.outElem(), [&](Scalars &s, ValueRange position) {
        Value i = OpLowering::at(s, indices, position.slice(axis, indexRank));
        SmallVector<Value> from(position.take_front(axis));
        from.push_back(wrapIndex(s, i, bound));
        llvm::append_range(from, position.drop_front(axis + indexRank));
        return OpLowering::at(s, data, from);
      }));
}

static LogicalResult lowerGatherElements(OpLowering &l) {
  Value data = l.in(0), indices = l.in(1);
  int64_t axis = l.getAxis("axis", 0, l.inRank(0));
  OpFoldResult n = l.size(data, axis);
  requireInBounds(l, 1, indices, n);
  Value bound = l.value(n);
  return l.done(l.generate(
      l.sizes(indices), l.outElem(), [&](Scalars &s, ValueRange position) {
        SmallVector<Value> from(position);
        from[axis] = wrapIndex(s, OpLowering::at(s, indices, position), bound);
        return OpLowering::at(s, data, from);
      }));
}

/// Checks every component of index tuples [..., K] against its dimension.
static LogicalResult requireTuplesInBounds(OpLowering &l, Value indices,
                                           ArrayRef<OpFoldResult> bounds) {
  int64_t rank = cast<RankedTensorType>(indices.getType()).getRank();
  for (auto [k, bound] : llvm::enumerate(bounds))
    requireInBounds(l, ~0u, l.slice(indices, rank - 1, l.index(k), l.index(1)),
                    bound);
  return success();
}

static LogicalResult lowerGatherND(OpLowering &l) {
  Value data = l.in(0), indices = l.in(1);
  int64_t batch = l.getInt("batch_dims", 0), indexRank = l.inRank(1);
  int64_t depth = l.inType(1).getDimSize(indexRank - 1);
  if (ShapedType::isDynamic(depth))
    return l.fail("the last dimension of the indices must be known");
  SmallVector<OpFoldResult> dataSizes = l.sizes(data);
  ArrayRef<OpFoldResult> bounds = ArrayRef(dataSizes).slice(batch, depth);
  if (failed(requireTuplesInBounds(l, indices, bounds)))
    return failure();
  SmallVector<OpFoldResult> sizes = l.sizes(indices);
  sizes.pop_back();
  llvm::append_range(sizes, ArrayRef(dataSizes).drop_front(batch + depth));
  SmallVector<Value> boundValues;
  for (OpFoldResult bound : bounds)
    boundValues.push_back(l.value(bound));
  return l.done(
      l.generate(sizes, l.outElem(), [&](Scalars &s, ValueRange position) {
        SmallVector<Value> tuple(position.take_front(indexRank - 1));
        tuple.push_back({});
        SmallVector<Value> from(position.take_front(batch));
        for (int64_t k = 0; k < depth; ++k) {
          tuple.back() = s.integer(s.b.getIndexType(), k);
          from.push_back(
              wrapIndex(s, OpLowering::at(s, indices, tuple), boundValues[k]));
        }
        llvm::append_range(from, position.drop_front(indexRank - 1));
        return OpLowering::at(s, data, from);
      }));
}

//===----------------------------------------------------------------------===//
// Scatter
//===----------------------------------------------------------------------===//

Value loopOver(
    OpLowering &l, ArrayRef<OpFoldResult> sizes, Value init,
    llvm::function_ref<Value(Scalars &, ValueRange position, Value tensor)>
        body) {
  SmallVector<Value> lower, upper, step;
  for (OpFoldResult size : sizes) {
    lower.push_back(l.value(l.index(0)));
    upper.push_back(l.value(size));
    step.push_back(l.value(l.index(1)));
  }
  if (sizes.empty()) {
    Scalars s = l.scalars();
    return body(s, {}, init);
  }
  scf::LoopNest nest = scf::buildLoopNest(
      l.b, l.loc, lower, upper, step, init,
      [&](OpBuilder &nested, Location loc, ValueRange position,
          ValueRange args) -> scf::ValueVector {
        Scalars s{nested, loc};
        return {body(s, position, args[0])};
      });
  return nest.results[0];
}

/// How a new value meets the old one.
static Value combine(Scalars &s, StringRef reduction, Value old, Value update) {
  Type elem = old.getType(), wide = computeType(elem);
  Value x = s.cast(old, wide, false, false);
  Value y = s.cast(update, wide, false, false);
  Value result = reduction == "add"   ? s.add(x, y)
                 : reduction == "mul" ? s.mul(x, y)
                 : reduction == "max" ? s.max(x, y)
                 : reduction == "min" ? s.min(x, y)
                                      : Value();
  return result ? s.cast(result, elem, false, false) : update;
}

static Value insertCombined(Scalars &s, StringRef reduction, Value update,
                            Value tensor, ValueRange position) {
  if (reduction != "none")
    update = combine(s, reduction, OpLowering::at(s, tensor, position), update);
  return tensor::InsertOp::create(s.b, s.loc, update, tensor, position);
}

static LogicalResult lowerScatterElements(OpLowering &l) {
  Value data = l.in(0), indices = l.in(1), updates = l.in(2);
  int64_t axis = l.getAxis("axis", 0, l.inRank(0));
  StringRef reduction = l.getString("reduction", "none");
  OpFoldResult n = l.size(data, axis);
  requireInBounds(l, 1, indices, n);
  Value bound = l.value(n);
  bool isUnsigned = l.inUnsigned(0);
  return l.done(loopOver(
      l, l.sizes(indices), data,
      [&](Scalars &s, ValueRange position, Value tensor) {
        s.isUnsigned = false;
        SmallVector<Value> to(position);
        to[axis] = wrapIndex(s, OpLowering::at(s, indices, position), bound);
        Value update = OpLowering::at(s, updates, position);
        s.isUnsigned = isUnsigned;
        return insertCombined(s, reduction, update, tensor, to);
      }));
}

static LogicalResult lowerScatterND(OpLowering &l) {
  Value data = l.in(0), indices = l.in(1), updates = l.in(2);
  int64_t rank = l.inRank(0), indexRank = l.inRank(1);
  int64_t depth = l.inType(1).getDimSize(indexRank - 1);
  if (ShapedType::isDynamic(depth))
    return l.fail("the last dimension of the indices must be known");
  StringRef reduction = l.getString("reduction", "none");
  SmallVector<OpFoldResult> dataSizes = l.sizes(data);
  ArrayRef<OpFoldResult> bounds = ArrayRef(dataSizes).take_front(depth);
  if (failed(requireTuplesInBounds(l, indices, bounds)))
    return failure();
  SmallVector<Value> boundValues;
  for (OpFoldResult bound : bounds)
    boundValues.push_back(l.value(bound));
  bool isUnsigned = l.inUnsigned(0);
  return l.done(
      loopOver(l, l.sizes(updates), data,
               [&](Scalars &s, ValueRange position, Value tensor) {
                 SmallVector<Value> tuple(position.take_front(indexRank - 1));
                 tuple.push_back({});
                 SmallVector<Value> to;
                 for (int64_t k = 0; k < depth; ++k) {
                   tuple.back() = s.integer(s.b.getIndexType(), k);
                   to.push_back(wrapIndex(s, OpLowering::at(s, indices, tuple),
                                          boundValues[k]));
                 }
                 llvm::append_range(to, position.take_back(rank - depth));
                 Value update = OpLowering::at(s, updates, position);
                 s.isUnsigned = isUnsigned;
                 return insertCombined(s, reduction, update, tensor, to);
               }));
}

//===----------------------------------------------------------------------===//
// OneHot, NonZero, Compress
//===----------------------------------------------------------------------===//

static LogicalResult lowerOneHot(OpLowering &l) {
  Value indices = l.in(0), values = l.in(2);
  int64_t rank = l.outRank();
  int64_t axis = l.getAxis("axis", -1, rank);
  OpFoldResult depth;
  if (auto constant = l.constFloats(1))
    depth = l.index(static_cast<int64_t>(constant->front()));
  else {
    Scalars s = l.scalars();
    depth = s.toIndex(
        s.cast(l.scalarOf(l.in(1)), l.b.getI64Type(), l.inUnsigned(1), false));
  }
  SmallVector<OpFoldResult> sizes = l.sizes(indices);
  sizes.insert(sizes.begin() + axis, depth);
  Value n = l.value(depth);
  bool isUnsigned = l.inUnsigned(0);
  return l.done(
      l.generate(sizes, l.outElem(), [&](Scalars &s, ValueRange position) {
        SmallVector<Value> from(position);
        from.erase(from.begin() + axis);
        Value i = s.cast(OpLowering::at(s, indices, from), s.b.getI64Type(),
                         isUnsigned, false);
        Value hot = s.eq(wrapIndex(s, i, n), position[axis]);
        Value off = OpLowering::at(s, values, s.integer(n.getType(), 0));
        Value on = OpLowering::at(s, values, s.integer(n.getType(), 1));
        return s.select(hot, on, off);
      }));
}

/// Counts, then writes positions in row-major order.
static LogicalResult lowerNonZero(OpLowering &l) {
  Value data = l.in(0);
  int64_t rank = l.inRank(0);
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  auto isSet = [](Scalars &s, Value v) {
    if (isa<FloatType>(v.getType()))
      return Value(arith::CmpFOp::create(s.b, s.loc, arith::CmpFPredicate::UNE,
                                         v, s.constant(v.getType(), 0)));
    return Value(arith::CmpIOp::create(s.b, s.loc, arith::CmpIPredicate::ne, v,
                                       s.integer(v.getType(), 0)));
  };
  Type i64 = l.b.getI64Type();
  Value counted =
      l.reduce(data, all, l.scalars().integer(i64, 0),
               [&](Scalars &s, ValueRange v) -> Value {
                 return s.add(v[1], s.cast(isSet(s, v[0]), i64, true, false));
               });
  Value count = l.scalars().toIndex(l.scalarOf(counted));
  Value init = l.empty({l.index(rank), count}, i64);

  SmallVector<Value> lower, upper, step;
  for (OpFoldResult size : l.sizes(data)) {
    lower.push_back(l.value(l.index(0)));
    upper.push_back(l.value(size));
    step.push_back(l.value(l.index(1)));
  }
  Value zero = l.value(l.index(0)), one = l.value(l.index(1));
  if (rank == 0)
    return l.fail("a scalar has no positions");
  scf::LoopNest nest = scf::buildLoopNest(
      l.b, l.loc, lower, upper, step, {init, zero},
      [&](OpBuilder &nested, Location loc, ValueRange position,
          ValueRange args) -> scf::ValueVector {
        Scalars s{nested, loc};
        Value set = isSet(s, OpLowering::at(s, data, position));
        auto branch = scf::IfOp::create(
            nested, loc, set,
            [&](OpBuilder &then, Location thenLoc) {
              Scalars t{then, thenLoc};
              Value tensor = args[0];
              for (int64_t d = 0; d < rank; ++d)
                tensor = tensor::InsertOp::create(
                    then, thenLoc, t.fromIndex(position[d], i64), tensor,
                    ValueRange{t.integer(zero.getType(), d), args[1]});
              scf::YieldOp::create(then, thenLoc,
                                   ValueRange{tensor, t.add(args[1], one)});
            },
            [&](OpBuilder &otherwise, Location elseLoc) {
              scf::YieldOp::create(otherwise, elseLoc, args);
            });
        return {branch.getResult(0), branch.getResult(1)};
      });
  return l.done(nest.results[0]);
}

/// The selected slices, through the list of their positions.
static LogicalResult lowerCompress(OpLowering &l) {
  Value data = l.in(0), condition = l.in(1);
  int64_t axis = 0;
  if (l.hasAttr("axis"))
    axis = l.getAxis("axis", 0, l.inRank(0));
  else
    data = l.reshape(data, l.product(l.sizes(data)));
  Type i64 = l.b.getI64Type();
  Value counted = l.reduce(condition, {0}, l.scalars().integer(i64, 0),
                           [&](Scalars &s, ValueRange v) -> Value {
                             return s.add(v[1], s.cast(v[0], i64, true, false));
                           });
  Value count = l.scalars().toIndex(l.scalarOf(counted));
  Value zero = l.value(l.index(0)), one = l.value(l.index(1));
  Value end = l.value(l.size(condition, 0));
  auto loop = scf::ForOp::create(
      l.b, l.loc, zero, end, one,
      ValueRange{l.empty(OpFoldResult(count), i64), zero},
      [&](OpBuilder &nested, Location loc, Value i, ValueRange args) {
        auto branch = scf::IfOp::create(
            nested, loc, tensor::ExtractOp::create(nested, loc, condition, i),
            [&](OpBuilder &then, Location thenLoc) {
              Scalars t{then, thenLoc};
              Value tensor = tensor::InsertOp::create(
                  then, thenLoc, t.fromIndex(i, i64), args[0], args[1]);
              scf::YieldOp::create(then, thenLoc,
                                   ValueRange{tensor, t.add(args[1], one)});
            },
            [&](OpBuilder &otherwise, Location elseLoc) {
              scf::YieldOp::create(otherwise, elseLoc, args);
            });
        scf::YieldOp::create(nested, loc, branch.getResults());
      });
  Value positions = loop.getResult(0);
  SmallVector<OpFoldResult> sizes = l.sizes(data);
  l.require(l.scalars().le(end, l.value(sizes[axis])),
            "the condition is longer than the dimension");
  sizes[axis] = count;
  return l.done(
      l.generate(sizes, l.outElem(), [&](Scalars &s, ValueRange position) {
        SmallVector<Value> from(position);
        from[axis] = s.toIndex(OpLowering::at(s, positions, position[axis]));
        return OpLowering::at(s, data, from);
      }));
}

void addIndexing(LowerTable &table) {
  table["onnx.Gather"] = lowerGather;
  table["onnx.GatherElements"] = lowerGatherElements;
  table["onnx.GatherND"] = lowerGatherND;
  table["onnx.ScatterElements"] = lowerScatterElements;
  table["onnx.ScatterND"] = lowerScatterND;
  table["onnx.OneHot"] = lowerOneHot;
  table["onnx.NonZero"] = lowerNonZero;
  table["onnx.Compress"] = lowerCompress;
}

} // namespace nibble::onnx_to_linalg
