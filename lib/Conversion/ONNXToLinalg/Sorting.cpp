//===- Sorting.cpp - Unique, determinants, running sums and products ------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

//===----------------------------------------------------------------------===//
// Sorting
//===----------------------------------------------------------------------===//

using LessFn = llvm::function_ref<Value(Scalars &, Value i, Value j)>;

/// The numbers 0 to n - 1 (i64) in ascending order of what they stand for;
/// equal ones keep their order. A merge sort without recursion.
static Value sortedOrder(OpLowering &l, OpFoldResult n, LessFn less) {
  Type i64 = l.b.getI64Type();
  Value order = l.generate(n, i64, [&](Scalars &s, ValueRange at) {
    return s.fromIndex(at[0], i64);
  });
  Value count = l.value(n), zero = l.value(l.index(0));
  Value one = l.value(l.index(1));
  Scalars s = l.scalars();
  SmallVector<Value> init{order, l.empty(n, i64), one};
  SmallVector<Type> types(ValueRange(init).getTypes());
  SmallVector<Location> locs(types.size(), l.loc);
  auto loop = scf::WhileOp::create(l.b, l.loc, types, init);
  OpBuilder::InsertionGuard guard(l.b);
  Block *before = l.b.createBlock(&loop.getBefore(), {}, types, locs);
  scf::ConditionOp::create(l.b, l.loc, s.lt(before->getArgument(2), count),
                           before->getArguments());
  Block *after = l.b.createBlock(&loop.getAfter(), {}, types, locs);
  Value from = after->getArgument(0), width = after->getArgument(2);
  Value twice = s.add(width, width);
  auto merge = [&](OpBuilder &b, Location loc, Value start, ValueRange args) {
    Scalars t{b, loc};
    Value middle = t.min(t.add(start, width), count);
    Value last = t.min(t.add(start, twice), count);
    auto inner = scf::ForOp::create(
        b, loc, start, last, one, ValueRange{args[0], start, middle},
        [&](OpBuilder &nested, Location innerLoc, Value k, ValueRange state) {
          Scalars u{nested, innerLoc};
          Value i = state[1], j = state[2];
          Value leftDone = u.le(middle, i), rightDone = u.le(last, j);
          // What is done is not compared, but read.
          Value p = OpLowering::at(u, from, u.select(leftDone, start, i));
          Value q = OpLowering::at(u, from, u.select(rightDone, start, j));
          Value first = less(u, u.toIndex(q), u.toIndex(p));
          Value right = arith::AndIOp::create(
              nested, innerLoc, u.logicalNot(rightDone),
              arith::OrIOp::create(nested, innerLoc, leftDone, first));
          Value tensor = tensor::InsertOp::create(
              nested, innerLoc, u.select(right, q, p), state[0], k);
          scf::YieldOp::create(nested, innerLoc,
                               ValueRange{tensor,
                                          u.select(right, i, u.add(i, one)),
                                          u.select(right, u.add(j, one), j)});
        });
    scf::YieldOp::create(b, loc, inner.getResult(0));
  };
  auto merged = scf::ForOp::create(l.b, l.loc, zero, count, twice,
                                   after->getArgument(1), merge);
  scf::YieldOp::create(l.b, l.loc,
                       ValueRange{merged.getResult(0), from, twice});
  return loop.getResult(0);
}

/// Whether x comes before y; NaN comes last.
static Value comesBefore(Scalars &s, Value x, Value y) {
  Value less = s.lt(x, y);
  if (!isa<FloatType>(x.getType()))
    return less;
  Value onlyY =
      arith::AndIOp::create(s.b, s.loc, s.logicalNot(s.isNaN(x)), s.isNaN(y));
  return arith::OrIOp::create(s.b, s.loc, less, onlyY);
}

/// Whether row i of a matrix comes before row j, element by element.
static Value rowComesBefore(Scalars &s, Value rows, Value width, Value i,
                            Value j) {
  Value zero = s.integer(s.b.getIndexType(), 0);
  Value one = s.integer(s.b.getIndexType(), 1);
  Value no = s.integer(s.b.getI1Type(), 0);
  auto loop = scf::ForOp::create(
      s.b, s.loc, zero, width, one, ValueRange{no, no},
      [&](OpBuilder &nested, Location loc, Value k, ValueRange state) {
        Scalars t{nested, loc, s.isUnsigned};
        Value x = OpLowering::at(t, rows, {i, k});
        Value y = OpLowering::at(t, rows, {j, k});
        Value less = comesBefore(t, x, y), more = comesBefore(t, y, x);
        // The first difference decides.
        Value open =
            t.logicalNot(arith::OrIOp::create(nested, loc, state[0], state[1]));
        auto decide = [&](Value old, Value now) -> Value {
          return arith::OrIOp::create(
              nested, loc, old, arith::AndIOp::create(nested, loc, open, now));
        };
        scf::YieldOp::create(
            nested, loc,
            ValueRange{decide(state[0], less), decide(state[1], more)});
      });
  return loop.getResult(0);
}

//===----------------------------------------------------------------------===//
// Unique
//===----------------------------------------------------------------------===//

static LogicalResult lowerUnique(OpLowering &l) {
  Value x = l.in(0);
  int64_t rank = l.inRank(0);
  bool flat = !l.hasAttr("axis"), sorted = l.getInt("sorted", 1) != 0;
  bool isUnsigned = l.inUnsigned(0);
  int64_t axis = flat ? 0 : l.getAxis("axis", 0, rank);
  if (flat) {
    x = l.reshape(x, l.product(l.sizes(x)));
    rank = 1;
  }
  // Rows of a matrix are compared.
  SmallVector<int64_t> perm{axis};
  SmallVector<OpFoldResult> others;
  for (int64_t d = 0; d < rank; ++d)
    if (d != axis) {
      perm.push_back(d);
      others.push_back(l.size(x, d));
    }
  OpFoldResult n = l.size(x, axis);
  Value rows = l.reshape(l.transpose(x, perm), {n, l.product(others)});
  Value width = l.value(l.size(rows, 1));
  auto less = [&](Scalars &s, Value i, Value j) {
    s.isUnsigned = isUnsigned;
    Value zero = s.integer(s.b.getIndexType(), 0);
    Value result = flat ? comesBefore(s, OpLowering::at(s, rows, {i, zero}),
                                      OpLowering::at(s, rows, {j, zero}))
                        : rowComesBefore(s, rows, width, i, j);
    s.isUnsigned = false;
    return result;
  };
  Value order = sortedOrder(l, n, less);

  // Runs of equal rows get numbers; the first of a run is the lowest.
  Type i64 = l.b.getI64Type();
  Scalars s = l.scalars();
  Value zero = l.value(l.index(0)), one = l.value(l.index(1));
  Value count = l.value(n);
  Value zeros = l.filled(n, s.integer(i64, 0));
  auto runs = scf::ForOp::create(
      l.b, l.loc, zero, count, one, ValueRange{zeros, zeros, zeros, zero},
      [&](OpBuilder &b, Location loc, Value k, ValueRange state) {
        Scalars t{b, loc};
        Value isFirst = t.eq(k, zero);
        Value previous = t.select(isFirst, zero, t.sub(k, one));
        Value here = OpLowering::at(t, order, k);
        Value before = t.toIndex(OpLowering::at(t, order, previous));
        Value differs = less(t, before, t.toIndex(here));
        Value starts = arith::OrIOp::create(b, loc, isFirst, differs);
        Value number = t.select(starts, state[3], t.sub(state[3], one));
        Value length = OpLowering::at(t, state[2], number);
        Value first =
            t.select(starts, here, OpLowering::at(t, state[1], number));
        auto put = [&](Value v, Value tensor, Value at) -> Value {
          return tensor::InsertOp::create(b, loc, v, tensor, at);
        };
        scf::YieldOp::create(
            b, loc,
            ValueRange{put(t.fromIndex(number, i64), state[0], t.toIndex(here)),
                       put(first, state[1], number),
                       put(t.add(length, t.integer(i64, 1)), state[2], number),
                       t.add(number, one)});
      });
  Value runOf = runs.getResult(0), firsts = runs.getResult(1);
  Value lengths = runs.getResult(2), found = runs.getResult(3);

  // In order of appearance: the runs are numbered anew.
  Value renamed, original;
  if (!sorted) {
    auto loop = scf::ForOp::create(
        l.b, l.loc, zero, count, one, ValueRange{zeros, zeros, zero},
        [&](OpBuilder &b, Location loc, Value i, ValueRange state) {
          Scalars t{b, loc};
          Value run = OpLowering::at(t, runOf, i);
          Value at = t.toIndex(run);
          Value opens = t.eq(t.toIndex(OpLowering::at(t, firsts, at)), i);
          Value next = t.fromIndex(state[2], i64);
          Value name = t.select(opens, next, OpLowering::at(t, state[0], at));
          Value slot = t.select(opens, state[2], zero);
          Value old = t.select(opens, run, OpLowering::at(t, state[1], slot));
          Value names = tensor::InsertOp::create(b, loc, name, state[0], at);
          Value runsBy = tensor::InsertOp::create(b, loc, old, state[1], slot);
          Value after = t.select(opens, t.add(state[2], one), state[2]);
          scf::YieldOp::create(b, loc, ValueRange{names, runsBy, after});
        });
    renamed = loop.getResult(0);
    original = loop.getResult(1);
  }
  OpFoldResult kept = found;
  auto byRun = [&](Value table) {
    return l.generate(kept, i64, [&](Scalars &t, ValueRange at) {
      Value run = at[0];
      if (!sorted)
        run = t.toIndex(OpLowering::at(t, original, run));
      return OpLowering::at(t, table, run);
    });
  };
  Value indices = byRun(firsts);
  SmallVector<OpFoldResult> sizes = l.sizes(x);
  sizes[axis] = kept;
  SmallVector<Value> results(l.op->getNumResults());
  results[0] = l.generate(sizes, l.outElem(), [&](Scalars &t, ValueRange at) {
    SmallVector<Value> from(at);
    from[axis] = t.toIndex(OpLowering::at(t, indices, at[axis]));
    return OpLowering::at(t, x, from);
  });
  if (l.hasResult(1))
    results[1] = indices;
  if (l.hasResult(2))
    results[2] =
        sorted ? runOf : l.map(runOf, i64, [&](Scalars &t, ValueRange v) {
          return OpLowering::at(t, renamed, t.toIndex(v[0]));
        });
  if (l.hasResult(3))
    results[3] = byRun(lengths);
  return l.done(results);
}

//===----------------------------------------------------------------------===//
// Determinants
//===----------------------------------------------------------------------===//

/// The determinant of one matrix [n, n] by elimination with row pivots.
static Value determinant(OpLowering &l, Value matrix, Value n) {
  Type type = cast<RankedTensorType>(matrix.getType()).getElementType();
  Value zero = l.value(l.index(0)), one = l.value(l.index(1));
  Value unit = l.scalars().constant(type, 1);
  auto loop = scf::ForOp::create(
      l.b, l.loc, zero, n, one, ValueRange{matrix, unit},
      [&](OpBuilder &b, Location loc, Value k, ValueRange state) {
        Scalars s{b, loc};
        Value m = state[0], next = s.add(k, one);
        auto search = scf::ForOp::create(
            b, loc, next, n, one, k,
            [&](OpBuilder &nested, Location at, Value r, ValueRange best) {
              Scalars t{nested, at};
              Value here = t.abs(OpLowering::at(t, m, {r, k}));
              Value top = t.abs(OpLowering::at(t, m, {best[0], k}));
              scf::YieldOp::create(nested, at,
                                   t.select(t.lt(top, here), r, best[0]));
            });
        Value row = search.getResult(0);
        auto swap = scf::ForOp::create(
            b, loc, zero, n, one, m,
            [&](OpBuilder &nested, Location at, Value c, ValueRange args) {
              Scalars t{nested, at};
              Value p = OpLowering::at(t, args[0], {k, c});
              Value q = OpLowering::at(t, args[0], {row, c});
              Value first = tensor::InsertOp::create(nested, at, q, args[0],
                                                     ValueRange{k, c});
              // Equal rows: the same element is written twice.
              Value second = tensor::InsertOp::create(nested, at, p, first,
                                                      ValueRange{row, c});
              scf::YieldOp::create(nested, at, second);
            });
        m = swap.getResult(0);
        Value pivot = OpLowering::at(s, m, {k, k});
        Value none = s.eq(pivot, s.constant(type, 0));
        Value divisor = s.select(none, unit, pivot);
        auto rows = scf::ForOp::create(
            b, loc, next, n, one, m,
            [&](OpBuilder &nested, Location at, Value r, ValueRange args) {
              Scalars t{nested, at};
              Value f = t.div(OpLowering::at(t, args[0], {r, k}), divisor);
              auto columns = scf::ForOp::create(
                  nested, at, next, n, one, args[0],
                  [&](OpBuilder &deep, Location deepLoc, Value c,
                      ValueRange old) {
                    Scalars u{deep, deepLoc};
                    Value top = OpLowering::at(u, old[0], {k, c});
                    Value x = OpLowering::at(u, old[0], {r, c});
                    Value y = u.sub(x, u.mul(f, top));
                    Value updated = tensor::InsertOp::create(
                        deep, deepLoc, y, old[0], ValueRange{r, c});
                    scf::YieldOp::create(deep, deepLoc, updated);
                  });
              scf::YieldOp::create(nested, at, columns.getResult(0));
            });
        Value factor = s.select(s.eq(row, k), pivot, s.neg(pivot));
        scf::YieldOp::create(
            b, loc, ValueRange{rows.getResult(0), s.mul(state[1], factor)});
      });
  return loop.getResult(1);
}

static LogicalResult lowerDet(OpLowering &l) {
  Value x = l.in(0);
  int64_t rank = l.inRank(0);
  Type elem = l.outElem(), type = computeType(elem);
  OpFoldResult n = l.size(x, rank - 1);
  l.requireEqual(n, l.size(x, rank - 2), "the matrices are not square");
  SmallVector<OpFoldResult> sizes = l.sizes(x);
  sizes.truncate(rank - 2);
  OpFoldResult count = l.product(sizes);
  Value flat = l.reshape(l.castElements(x, type), {count, n, n});
  auto loop =
      scf::ForOp::create(l.b, l.loc, l.value(l.index(0)), l.value(count),
                         l.value(l.index(1)), ValueRange{l.empty(count, type)});
  {
    OpBuilder::InsertionGuard guard(l.b);
    l.b.setInsertionPointToStart(loop.getBody());
    Value at = loop.getInductionVar();
    Value matrix = l.reshape(l.slice(flat, 0, at, l.index(1)), {n, n});
    Value det = determinant(l, matrix, l.value(n));
    Value next = tensor::InsertOp::create(l.b, l.loc, det,
                                          loop.getRegionIterArgs()[0], at);
    scf::YieldOp::create(l.b, l.loc, next);
  }
  return l.done(l.castElements(l.reshape(loop.getResult(0), sizes), elem));
}

//===----------------------------------------------------------------------===//
// Running sums and products
//===----------------------------------------------------------------------===//

namespace {
struct Cumulative {
  bool exclusive, reverse;
  double init;
  Value (Scalars::*fn)(Value, Value);
};
} // namespace

/// Along the last axis the running value stays in a register.
static Value accumulateRows(OpLowering &l, const Cumulative &c) {
  Value data = l.in(0);
  int64_t last = l.inRank(0) - 1;
  Type elem = l.outElem(), acc = computeType(elem);
  SmallVector<OpFoldResult> sizes = l.sizes(data);
  Value zero = l.value(l.index(0)), one = l.value(l.index(1));
  Value count = l.value(sizes[last]);
  Value start = l.scalars().constant(acc, c.init);
  return loopOver(
      l, ArrayRef(sizes).take_front(last), l.empty(sizes, elem),
      [&](Scalars &outer, ValueRange position, Value tensor) -> Value {
        auto loop = scf::ForOp::create(
            outer.b, outer.loc, zero, count, one, ValueRange{tensor, start},
            [&](OpBuilder &b, Location loc, Value i, ValueRange args) {
              Scalars s{b, loc};
              if (c.reverse)
                i = s.sub(s.sub(count, one), i);
              SmallVector<Value> at(position);
              at.push_back(i);
              Value x = s.cast(OpLowering::at(s, data, at), acc, false, false);
              Value next = (s.*c.fn)(args[1], x);
              Value shown =
                  s.cast(c.exclusive ? args[1] : next, elem, false, false);
              Value updated =
                  tensor::InsertOp::create(b, loc, shown, args[0], at);
              scf::YieldOp::create(b, loc, ValueRange{updated, next});
            });
        return loop.getResult(0);
      });
}

/// Slices along the axis one after the other, each computed from the one
/// before, in vectors.
static Value accumulateAlong(OpLowering &l, const Cumulative &c, int64_t axis) {
  if (axis == l.inRank(0) - 1)
    return accumulateRows(l, c);
  Value data = l.in(0);
  Type elem = l.outElem(), acc = computeType(elem);
  SmallVector<OpFoldResult> sizes = l.sizes(data), row(sizes);
  row[axis] = l.index(1);
  Value zero = l.value(l.index(0)), one = l.value(l.index(1));
  Value count = l.value(sizes[axis]);
  auto loop = scf::ForOp::create(
      l.b, l.loc, zero, count, one,
      ValueRange{l.empty(sizes, elem),
                 l.filled(row, l.scalars().constant(acc, c.init))});
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPointToStart(loop.getBody());
  OpFoldResult at = loop.getInductionVar();
  if (c.reverse)
    at = l.sub(l.sub(count, one), at);
  Value all = loop.getRegionIterArgs()[0], sum = loop.getRegionIterArgs()[1];
  SmallVector<OpFoldResult> offsets(sizes.size(), l.index(0));
  offsets[axis] = at;
  Value part = l.slice(data, offsets, row);
  Value next = l.map({sum, part}, acc, [&](Scalars &s, ValueRange v) {
    return (s.*c.fn)(v[0], v[1]);
  });
  Value shown = l.castElements(c.exclusive ? sum : next, elem);
  Value updated = l.insert(shown, all, offsets);
  auto sumType = cast<RankedTensorType>(sum.getType());
  scf::YieldOp::create(l.b, l.loc,
                       ValueRange{updated, l.castTo(next, sumType)});
  return loop.getResult(0);
}

/// The axis is known at run time only: one branch for each.
static Value accumulateAlongAny(OpLowering &l, const Cumulative &c, Value axis,
                                int64_t candidate) {
  int64_t rank = l.inRank(0);
  if (candidate == rank - 1)
    return accumulateAlong(l, c, candidate);
  Scalars s = l.scalars();
  Value here = s.eq(axis, s.integer(axis.getType(), candidate));
  Type type = l.empty(l.sizes(l.in(0)), l.outElem()).getType();
  auto branch = scf::IfOp::create(l.b, l.loc, TypeRange{type}, here,
                                  /*addThenBlock=*/true,
                                  /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(l.b, l.loc, accumulateAlong(l, c, candidate));
  l.b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(l.b, l.loc,
                       accumulateAlongAny(l, c, axis, candidate + 1));
  return branch.getResult(0);
}

static LogicalResult lowerCumulative(OpLowering &l, double init,
                                     Value (Scalars::*fn)(Value, Value)) {
  int64_t rank = l.inRank(0);
  Cumulative c{l.getInt("exclusive", 0) != 0, l.getInt("reverse", 0) != 0, init,
               fn};
  if (rank == 0)
    return l.fail("a scalar has no axis");
  if (auto constant = l.constInts(1)) {
    if (constant->size() != 1 || constant->front() < -rank ||
        constant->front() >= rank)
      return l.fail("axis must be from " + Twine(-rank) + " to " +
                    Twine(rank - 1));
    int64_t axis = constant->front();
    return l.done(accumulateAlong(l, c, axis < 0 ? axis + rank : axis));
  }
  Scalars s = l.scalars();
  Value axis = s.toIndex(l.scalarOf(l.in(1)));
  Value zero = l.value(l.index(0)), size = l.value(l.index(rank));
  axis = s.select(s.lt(axis, zero), s.add(axis, size), axis);
  l.require(
      arith::AndIOp::create(l.b, l.loc, s.le(zero, axis), s.lt(axis, size)),
      "axis must be from " + Twine(-rank) + " to " + Twine(rank - 1));
  return l.done(accumulateAlongAny(l, c, axis, 0));
}

static LogicalResult lowerCumSum(OpLowering &l) {
  return lowerCumulative(l, 0, &Scalars::add);
}
static LogicalResult lowerCumProd(OpLowering &l) {
  return lowerCumulative(l, 1, &Scalars::mul);
}

void addSorting(LowerTable &table) {
  table["onnx.Unique"] = lowerUnique;
  table["onnx.Det"] = lowerDet;
  table["onnx.CumSum"] = lowerCumSum;
  table["onnx.CumProd"] = lowerCumProd;
}

} // namespace nibble::onnx_to_linalg
