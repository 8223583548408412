//===- Reduction.cpp - Reductions, scans and sorting
//--------------------------===//
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

//===----------------------------------------------------------------------===//
// Reduce*
//===----------------------------------------------------------------------===//

/// What a reduction does before, while and after it folds. Accumulates in
/// the compute type.
struct Reduction {
  double init;
  Value (*step)(Scalars &, Value element, Value acc);
  Value (*finish)(Scalars &, Value acc, Value count);
};

/// The reduced axes; nullopt if they are not known when compiling.
static std::optional<SmallVector<int64_t>> reducedAxes(OpLowering &l) {
  int64_t rank = l.inRank(0);
  SmallVector<int64_t> axes;
  if (l.has(1)) {
    auto constant = l.constInts(1);
    if (!constant) {
      // A computed, but empty operand.
      if (l.inType(1).hasStaticShape() && l.inType(1).getNumElements() == 0)
        constant.emplace();
      else
        return std::nullopt;
    }
    axes = normalizeAxes(*constant, rank);
  }
  if (axes.empty() && l.getInt("noop_with_empty_axes", 0) == 0)
    axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  return axes;
}

static LogicalResult keepDims(OpLowering &l, Value reduced,
                              ArrayRef<int64_t> axes) {
  if (l.getInt("keepdims", 1) != 0)
    reduced = l.unsqueeze(reduced, axes);
  return l.done(reduced);
}

namespace {
/// What is reduced: the operand along axes that are known, or if they are not,
/// a matrix that holds the elements in another order, along its rows.
struct Reduced {
  Value data;
  SmallVector<int64_t> axes;
  /// Of the result, where the axes are not known.
  std::optional<SmallVector<OpFoldResult>> sizes;

  LogicalResult done(OpLowering &l, Value folded) const {
    if (sizes)
      return l.done(l.reshape(folded, *sizes));
    return keepDims(l, folded, axes);
  }
};
} // namespace

/// Whether each dimension (i1) is one of the axes that the operand holds.
static SmallVector<Value> markAxes(OpLowering &l, Value axes, int64_t rank) {
  Scalars s = l.scalars();
  Type i32 = l.b.getI32Type();
  l.requireIndices(axes, l.index(rank), /*allowNegative=*/true,
                   "an axis is out of range");
  Value none = s.eq(l.value(l.size(axes, 0)), l.value(l.index(0)));
  bool allIfNone = l.getInt("noop_with_empty_axes", 0) == 0;
  SmallVector<Value> marks;
  for (int64_t d = 0; d < rank; ++d) {
    Value found = l.reduce(
        axes, 0, s.integer(i32, 0), [&](Scalars &t, ValueRange v) -> Value {
          Type type = v[0].getType();
          Value hit =
              arith::OrIOp::create(t.b, t.loc, t.eq(v[0], t.integer(type, d)),
                                   t.eq(v[0], t.integer(type, d - rank)));
          return t.max(v[1], arith::ExtUIOp::create(t.b, t.loc, i32, hit));
        });
    Value mark =
        arith::TruncIOp::create(l.b, l.loc, l.b.getI1Type(), l.scalarOf(found));
    if (allIfNone)
      mark = arith::OrIOp::create(l.b, l.loc, mark, none);
    marks.push_back(mark);
  }
  return marks;
}

static Reduced reducedOperand(OpLowering &l) {
  if (auto axes = reducedAxes(l))
    return {l.in(0), *axes, std::nullopt};
  Value data = l.in(0), one = l.value(l.index(1));
  int64_t rank = l.inRank(0);
  Scalars s = l.scalars();
  SmallVector<Value> marks = markAxes(l, l.in(1), rank), kept, folded;
  SmallVector<OpFoldResult> sizes;
  for (auto [d, mark] : llvm::enumerate(marks)) {
    Value n = l.value(l.size(data, d));
    kept.push_back(s.select(mark, one, n));
    folded.push_back(s.select(mark, n, one));
  }
  auto product = [&](ArrayRef<Value> factors) {
    Value result = one;
    for (Value factor : factors)
      result = s.mul(result, factor);
    return OpFoldResult(result);
  };
  Value matrix =
      l.generate({product(kept), product(folded)}, l.inElem(0),
                 [&](Scalars &t, ValueRange at) {
                   Value row = at[0], column = at[1];
                   SmallVector<Value> from(rank);
                   for (int64_t d = rank - 1; d >= 0; --d) {
                     // One of the two has a single step here.
                     auto split = [&](Value &rest, Value size) -> Value {
                       Value i = arith::RemUIOp::create(t.b, t.loc, rest, size);
                       rest = arith::DivUIOp::create(t.b, t.loc, rest, size);
                       return i;
                     };
                     Value i = split(row, kept[d]),
                           j = split(column, folded[d]);
                     from[d] = t.add(i, j);
                   }
                   return OpLowering::at(t, data, from);
                 });
  if (l.getInt("keepdims", 1) != 0) {
    sizes.assign(kept.begin(), kept.end());
    return {matrix, {1}, sizes};
  }
  // The result's dimension j is the one before which j are kept.
  int64_t outRank = l.outRank();
  SmallVector<Value> outSizes(outRank, one);
  Value before = l.value(l.index(0));
  for (int64_t d = 0; d < rank; ++d) {
    Value stays = s.logicalNot(marks[d]);
    for (int64_t j = 0; j < outRank; ++j) {
      Value here = arith::AndIOp::create(l.b, l.loc, stays,
                                         s.eq(before, l.value(l.index(j))));
      outSizes[j] = s.select(here, kept[d], outSizes[j]);
    }
    before = s.select(stays, s.add(before, one), before);
  }
  l.require(s.eq(before, l.value(l.index(outRank))),
            "the axes leave another number of dimensions");
  sizes.assign(outSizes.begin(), outSizes.end());
  return {matrix, {1}, sizes};
}

static LogicalResult lowerReduction(OpLowering &l, const Reduction &r) {
  Reduced operand = reducedOperand(l);
  bool isUnsigned = l.inUnsigned(0);
  Type acc = computeType(l.outElem());
  Value init = l.scalars().constant(acc, r.init);
  Value data = operand.data;
  Value folded = l.reduce(
      data, operand.axes, init,
      [&](Scalars &s, ValueRange v) { return r.step(s, v[0], v[1]); },
      isUnsigned);
  if (r.finish) {
    OpFoldResult count = l.index(1);
    for (int64_t axis : operand.axes)
      count = l.mul(count, l.size(data, axis));
    Value countValue = l.scalars().fromIndex(l.value(count), acc);
    folded = l.map(
        folded, acc,
        [&](Scalars &s, ValueRange v) { return r.finish(s, v[0], countValue); },
        isUnsigned);
  }
  return operand.done(l, l.castElements(folded, l.outElem()));
}

static Value addStep(Scalars &s, Value x, Value acc) { return s.add(acc, x); }
static Value addSquare(Scalars &s, Value x, Value acc) {
  return s.add(acc, s.mul(x, x));
}

static LogicalResult lowerReduceSum(OpLowering &l) {
  return lowerReduction(l, {0, addStep, nullptr});
}

static LogicalResult lowerReduceMean(OpLowering &l) {
  return lowerReduction(l, {0, addStep, [](Scalars &s, Value acc, Value n) {
                              return s.div(acc, n);
                            }});
}

static LogicalResult lowerReduceProd(OpLowering &l) {
  return lowerReduction(
      l, {1, [](Scalars &s, Value x, Value acc) { return s.mul(acc, x); },
          nullptr});
}

static LogicalResult lowerReduceL1(OpLowering &l) {
  return lowerReduction(
      l,
      {0, [](Scalars &s, Value x, Value acc) { return s.add(acc, s.abs(x)); },
       nullptr});
}

static LogicalResult lowerReduceSumSquare(OpLowering &l) {
  return lowerReduction(l, {0, addSquare, nullptr});
}

/// Integers take the root of a float.
static Value sqrtOf(Scalars &s, Value x) {
  Type type = x.getType();
  if (isa<FloatType>(type))
    return s.sqrt(x);
  Value wide = s.cast(x, s.b.getF64Type(), s.isUnsigned, false);
  return s.cast(s.sqrt(wide), type, false, s.isUnsigned);
}

static Value logOf(Scalars &s, Value x) {
  Type type = x.getType();
  if (isa<FloatType>(type))
    return s.log(x);
  Value wide = s.cast(x, s.b.getF64Type(), s.isUnsigned, false);
  return s.cast(s.log(wide), type, false, s.isUnsigned);
}

static LogicalResult lowerReduceL2(OpLowering &l) {
  return lowerReduction(l, {0, addSquare, [](Scalars &s, Value acc, Value) {
                              return sqrtOf(s, acc);
                            }});
}

static LogicalResult lowerReduceLogSum(OpLowering &l) {
  return lowerReduction(l, {0, addStep, [](Scalars &s, Value acc, Value) {
                              return logOf(s, acc);
                            }});
}

/// The extreme element; true is above false, and nothing gives the other
/// end of the type.
template <bool isMax>
static LogicalResult lowerReduceExtreme(OpLowering &l) {
  Reduced operand = reducedOperand(l);
  bool isUnsigned = l.inUnsigned(0);
  Type elem = l.outElem();
  Scalars s = l.scalars(isUnsigned);
  Type acc = computeType(elem);
  Value init = isMax ? s.lowest(acc) : s.highest(acc);
  Value folded = l.reduce(
      operand.data, operand.axes, init,
      [](Scalars &s, ValueRange v) {
        return isMax ? s.max(v[1], v[0]) : s.min(v[1], v[0]);
      },
      isUnsigned);
  return operand.done(l, l.castElements(folded, elem));
}

/// max + log(sum(exp(x - max))); an infinite maximum is not subtracted.
static LogicalResult lowerReduceLogSumExp(OpLowering &l) {
  Reduced operand = reducedOperand(l);
  Type elem = l.outElem();
  if (!isa<FloatType>(elem))
    return l.fail("only floats are supported");
  Type acc = computeType(elem);
  Scalars s = l.scalars();
  Value max =
      l.reduce(operand.data, operand.axes, s.lowest(acc),
               [](Scalars &s, ValueRange v) { return s.max(v[1], v[0]); });
  max = l.map(max, acc, [](Scalars &s, ValueRange v) {
    Value finite = s.lt(s.abs(v[0]), s.highest(v[0].getType()));
    return s.select(finite, v[0], s.constant(v[0].getType(), 0));
  });
  Value exps = l.mapReduced(
      operand.data, max, operand.axes, acc,
      [](Scalars &s, ValueRange v) { return s.exp(s.sub(v[0], v[1])); });
  Value sum =
      l.reduce(exps, operand.axes, s.constant(acc, 0),
               [](Scalars &s, ValueRange v) { return s.add(v[1], v[0]); });
  Value result = l.map({sum, max}, elem, [](Scalars &s, ValueRange v) {
    return s.add(s.log(v[0]), v[1]);
  });
  return operand.done(l, result);
}

//===----------------------------------------------------------------------===//
// ArgMax, ArgMin
//===----------------------------------------------------------------------===//

/// The extreme first, then the first (last) place that holds it: two folds,
/// each of which vectors can do. NaN counts as the extreme, as in NumPy.
template <bool isMax>
static LogicalResult lowerArg(OpLowering &l) {
  Value data = l.in(0);
  int64_t axis = l.getAxis("axis", 0, l.inRank(0));
  bool last = l.getInt("select_last_index", 0) != 0;
  bool isUnsigned = l.inUnsigned(0);
  Type acc = computeType(l.inElem(0)), i64 = l.b.getI64Type();
  Scalars outer = l.scalars(isUnsigned);
  Value best = l.reduce(
      data, axis, isMax ? outer.lowest(acc) : outer.highest(acc),
      [](Scalars &s, ValueRange v) {
        return isMax ? s.max(v[1], v[0]) : s.min(v[1], v[0]);
      },
      isUnsigned);
  int64_t rank = l.inRank(0);
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(rank),
                              mapWithoutDims(l.b.getContext(), rank, axis)};
  Value places = l.pointwise(
      {data, best}, maps, l.sizes(data), i64, [&](Scalars &s, ValueRange v) {
        Value hit = s.eq(v[0], v[1]);
        if (isa<FloatType>(acc))
          hit = arith::OrIOp::create(s.b, s.loc, hit, s.isNaN(v[0]));
        Value place =
            s.fromIndex(linalg::IndexOp::create(s.b, s.loc, axis), i64);
        int64_t never = last ? -1 : std::numeric_limits<int64_t>::max();
        return s.select(hit, place, s.integer(i64, never));
      });
  Scalars s = l.scalars();
  Value found =
      l.reduce(places, axis, last ? s.integer(i64, -1) : s.highest(i64),
               [&](Scalars &t, ValueRange v) {
                 return last ? t.max(v[1], v[0]) : t.min(v[1], v[0]);
               });
  return keepDims(l, found, axis);
}

//===----------------------------------------------------------------------===//
// TopK
//===----------------------------------------------------------------------===//

/// Element j is the best of those that come after element j - 1 in the order
/// (value, then lower index first): no list of what was taken is needed. NaN
/// counts as the largest, as in NumPy.
static LogicalResult lowerTopK(OpLowering &l) {
  Value data = l.in(0);
  int64_t rank = l.inRank(0);
  int64_t axis = l.getAxis("axis", -1, rank);
  bool largest = l.getInt("largest", 1) != 0;
  bool isUnsigned = l.inUnsigned(0);
  Type elem = l.inElem(0), i64 = l.b.getI64Type();
  SmallVector<OpFoldResult> sizes = l.sizes(data);
  OpFoldResult n = sizes[axis];
  OpFoldResult k = l.indexElements(l.in(1))[0];
  if (auto c = l.constInts(1))
    k = l.index(c->front());
  else if (!l.outType().isDynamicDim(axis))
    k = l.index(l.outType().getDimSize(axis));
  auto ck = getConstantIntValue(k), cn = getConstantIntValue(n);
  if (ck && cn && *ck > *cn)
    return l.fail("k = " + Twine(*ck) + " is above the size " + Twine(*cn));
  Value count = l.value(n);
  if (!ck || !cn)
    l.require(l.scalars().le(l.value(k), count), "k is above the size");
  SmallVector<OpFoldResult> outSizes = sizes;
  outSizes[axis] = k;

  SmallVector<OpFoldResult> loops = outSizes;
  loops.erase(loops.begin() + axis);
  loops.push_back(k);
  SmallVector<Value> lower, upper, step;
  Value zero = l.value(l.index(0)), one = l.value(l.index(1));
  for (OpFoldResult size : loops) {
    lower.push_back(zero);
    upper.push_back(l.value(size));
    step.push_back(one);
  }
  // Whether (v, i) comes before (w, j) in the result.
  auto before = [&](Scalars &s, Value v, Value i, Value w, Value j) {
    Value better = largest ? s.lt(w, v) : s.lt(v, w);
    Value same = s.eq(v, w);
    if (isa<FloatType>(elem)) {
      Value vNaN = s.isNaN(v), wNaN = s.isNaN(w);
      Value only =
          largest ? arith::AndIOp::create(s.b, s.loc, vNaN, s.logicalNot(wNaN))
                  : arith::AndIOp::create(s.b, s.loc, wNaN, s.logicalNot(vNaN));
      better = arith::OrIOp::create(s.b, s.loc, better, only);
      same = arith::OrIOp::create(
          s.b, s.loc, same, arith::AndIOp::create(s.b, s.loc, vNaN, wNaN));
    }
    Value earlier =
        arith::CmpIOp::create(s.b, s.loc, arith::CmpIPredicate::slt, i, j);
    Value tie = arith::AndIOp::create(s.b, s.loc, same, earlier);
    return Value(arith::OrIOp::create(s.b, s.loc, better, tie));
  };
  SmallVector<Value> init{l.empty(outSizes, elem), l.empty(outSizes, i64)};
  scf::LoopNest nest = scf::buildLoopNest(
      l.b, l.loc, lower, upper, step, init,
      [&](OpBuilder &b, Location loc, ValueRange ivs,
          ValueRange tensors) -> scf::ValueVector {
        Scalars s{b, loc, isUnsigned};
        SmallVector<Value> to(ivs.drop_back());
        Value rankInResult = ivs.back();
        to.insert(to.begin() + axis, rankInResult);
        Value isFirst = s.eq(rankInResult, zero);
        SmallVector<Value> previous(to);
        previous[axis] = s.select(isFirst, zero, s.sub(rankInResult, one));
        // Row `previous` holds the last pick; at first it holds nothing of use.
        Value lastValue = OpLowering::at(s, tensors[0], previous);
        Value lastIndex = s.toIndex(OpLowering::at(s, tensors[1], previous));
        Value none = s.integer(zero.getType(), -1);
        auto scan = scf::ForOp::create(
            b, loc, zero, count, one, ValueRange{s.constant(elem, 0), none},
            [&](OpBuilder &nested, Location nestedLoc, Value i,
                ValueRange args) {
              Scalars t{nested, nestedLoc, isUnsigned};
              SmallVector<Value> from(to);
              from[axis] = i;
              Value v = OpLowering::at(t, data, from);
              Value open = t.select(isFirst, t.integer(isFirst.getType(), 1),
                                    before(t, lastValue, lastIndex, v, i));
              Value nothing = t.eq(args[1], none);
              Value wins =
                  arith::OrIOp::create(nested, nestedLoc, nothing,
                                       before(t, v, i, args[0], args[1]));
              Value take = arith::AndIOp::create(nested, nestedLoc, open, wins);
              scf::YieldOp::create(nested, nestedLoc,
                                   ValueRange{t.select(take, v, args[0]),
                                              t.select(take, i, args[1])});
            });
        Value index = s.fromIndex(scan.getResult(1), i64);
        return {
            tensor::InsertOp::create(b, loc, scan.getResult(0), tensors[0], to),
            tensor::InsertOp::create(b, loc, index, tensors[1], to)};
      });
  return l.done(nest.results);
}

void addReductions(LowerTable &table) {
  table["onnx.ReduceSum"] = lowerReduceSum;
  table["onnx.ReduceMean"] = lowerReduceMean;
  table["onnx.ReduceProd"] = lowerReduceProd;
  table["onnx.ReduceL1"] = lowerReduceL1;
  table["onnx.ReduceL2"] = lowerReduceL2;
  table["onnx.ReduceSumSquare"] = lowerReduceSumSquare;
  table["onnx.ReduceLogSum"] = lowerReduceLogSum;
  table["onnx.ReduceLogSumExp"] = lowerReduceLogSumExp;
  table["onnx.ReduceMax"] = lowerReduceExtreme<true>;
  table["onnx.ReduceMin"] = lowerReduceExtreme<false>;
  table["onnx.ArgMax"] = lowerArg<true>;
  table["onnx.ArgMin"] = lowerArg<false>;
  table["onnx.TopK"] = lowerTopK;
}

} // namespace nibble::onnx_to_linalg
