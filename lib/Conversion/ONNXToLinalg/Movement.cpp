//===- Movement.cpp - Operators that move elements
//----------------------------===//
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

static LogicalResult lowerTranspose(OpLowering &l) {
  int64_t rank = l.inRank(0);
  SmallVector<int64_t> perm = l.getInts("perm");
  if (perm.empty())
    perm = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
  return l.done(l.transpose(l.in(0), perm));
}

static LogicalResult lowerConcat(OpLowering &l) {
  int64_t axis = l.getAxis("axis", 0, l.inRank(0));
  if (isPresent(l.op, axis))
    return l.done(l.appendCache(l.in(0), l.in(1), axis));
  return l.done(l.concat(SmallVector<Value>(l.inputs()), axis));
}

static LogicalResult lowerSplit(OpLowering &l) {
  int64_t axis = l.getAxis("axis", 0, l.inRank(0));
  OpFoldResult whole = l.size(l.in(0), axis);
  unsigned count = l.op->getNumResults();
  SmallVector<OpFoldResult> parts;
  if (l.has(1)) {
    if (!l.inType(1).hasStaticShape())
      return l.fail("the number of parts is not known");
    parts = l.indexElements(l.in(1));
    if (parts.size() != count)
      return l.fail("has " + Twine(parts.size()) + " sizes for " +
                    Twine(count) + " outputs");
    OpFoldResult sum = l.index(0);
    for (OpFoldResult part : parts)
      sum = l.add(sum, part);
    l.requireEqual(sum, whole, "the parts do not add up to the dimension");
  } else {
    // Equal chunks; the last one is smaller if they do not divide.
    OpFoldResult chunk = l.ceilDiv(whole, l.index(count));
    parts.assign(count, chunk);
    OpFoldResult before = l.mul(chunk, l.index(count - 1));
    parts.back() = l.sub(whole, before);
  }
  OpFoldResult offset = l.index(0);
  for (OpFoldResult part : parts) {
    l.results.push_back(l.slice(l.in(0), axis, offset, part));
    offset = l.add(offset, part);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

namespace {
/// One sliced dimension: `size` elements from `offset`, `step` apart.
struct SliceDim {
  OpFoldResult offset, size, step;
};
} // namespace

/// Clamps start and end as ONNX says: negative positions count from the end,
/// and an end beyond either side stops there.
static SliceDim resolveSlice(OpLowering &l, OpFoldResult n, OpFoldResult start,
                             OpFoldResult end, OpFoldResult step) {
  auto cn = getConstantIntValue(n), cs = getConstantIntValue(start),
       ce = getConstantIntValue(end), cp = getConstantIntValue(step);
  if (cp && *cp > 0) {
    // The usual form, folded as far as it goes.
    auto clamp = [&](OpFoldResult v, std::optional<int64_t> c) -> OpFoldResult {
      if (c && cn)
        return l.index(std::clamp<int64_t>(*c < 0 ? *c + *cn : *c, 0, *cn));
      if (c && *c == 0)
        return v;
      if (c && *c > (int64_t(1) << 30))
        return n;
      if (c && *c > 0)
        return l.min(v, n);
      if (c)
        return l.max(l.add(n, v), l.index(0));
      if (l.knownEqual(v, n))
        return n;
      Scalars s = l.scalars();
      Value zero = l.value(l.index(0));
      Value raw = l.value(v);
      Value wrapped = s.select(s.lt(raw, zero), l.value(l.add(v, n)), raw);
      return l.min(l.max(wrapped, l.index(0)), n);
    };
    OpFoldResult from = clamp(start, cs), to = clamp(end, ce);
    OpFoldResult span = l.sub(to, from);
    auto fixed = getConstantIntValue(span);
    bool ordered = getConstantIntValue(from) == 0 || (fixed && *fixed >= 0);
    if (!ordered)
      span = l.max(span, l.index(0));
    return {from, l.ceilDiv(span, step), step};
  }
  if (cn && cs && ce && cp) {
    int64_t from = std::clamp<int64_t>(*cs < 0 ? *cs + *cn : *cs, 0, *cn - 1);
    int64_t to = std::clamp<int64_t>(*ce < 0 ? *ce + *cn : *ce, -1, *cn - 1);
    int64_t size =
        std::max<int64_t>(llvm::divideCeilSigned(from - to, -*cp), 0);
    return {l.index(*cn == 0 ? 0 : from), l.index(*cn == 0 ? 0 : size), step};
  }
  // Everything at run time, either direction.
  Scalars s = l.scalars();
  Value vn = l.value(n), vs = l.value(start), ve = l.value(end);
  Value vp = l.value(step);
  Value zero = l.value(l.index(0)), one = l.value(l.index(1));
  Value minusOne = l.value(l.index(-1));
  l.require(s.logicalNot(s.eq(vp, zero)), "the step of a slice must not be 0");
  Value forward = s.lt(zero, vp);
  Value last = s.select(forward, vn, s.sub(vn, one));
  auto resolve = [&](Value v, Value low) {
    Value wrapped = s.select(s.lt(v, zero), s.add(v, vn), v);
    return s.min(s.max(wrapped, low), last);
  };
  Value from = resolve(vs, zero);
  Value to = resolve(ve, s.select(forward, zero, minusOne));
  Value span = s.select(forward, s.sub(to, from), s.sub(from, to));
  Value stride = s.select(forward, vp, s.neg(vp));
  OpFoldResult size = l.ceilDiv(l.max(span, l.index(0)), stride);
  return {from, size, step};
}

/// One entry for each dimension out of entries for `axes` (index values, which
/// may count from the end); `others` is what the other dimensions get.
static SmallVector<OpFoldResult> spreadAlong(OpLowering &l,
                                             ArrayRef<OpFoldResult> axes,
                                             ArrayRef<OpFoldResult> entries,
                                             ArrayRef<OpFoldResult> others) {
  Scalars s = l.scalars();
  int64_t rank = others.size();
  SmallVector<OpFoldResult> result(others);
  for (auto [axis, entry] : llvm::zip_equal(axes, entries))
    for (int64_t d = 0; d < rank; ++d) {
      Value at = l.value(axis);
      Value here =
          arith::OrIOp::create(l.b, l.loc, s.eq(at, l.value(l.index(d))),
                               s.eq(at, l.value(l.index(d - rank))));
      result[d] = s.select(here, l.value(entry), l.value(result[d]));
    }
  return result;
}

/// Axes that are not constant, checked; empty if they are constant or absent.
static SmallVector<OpFoldResult> runTimeAxes(OpLowering &l, unsigned operand) {
  if (!l.has(operand) || l.constInts(operand))
    return {};
  if (!l.inType(operand).hasStaticShape()) {
    (void)l.fail("the number of axes is not known");
    return {};
  }
  l.requireIndices(l.in(operand), l.index(l.inRank(0)), /*allowNegative=*/true,
                   "an axis is out of range");
  return l.indexElements(l.in(operand));
}

static LogicalResult lowerSlice(OpLowering &l) {
  Value data = l.in(0);
  int64_t rank = l.inRank(0);
  if (!l.inType(1).hasStaticShape() || !l.inType(2).hasStaticShape())
    return l.fail("the number of sliced axes is not known");
  SmallVector<OpFoldResult> starts = l.indexElements(l.in(1));
  SmallVector<OpFoldResult> ends = l.indexElements(l.in(2));
  SmallVector<int64_t> axes =
      llvm::to_vector(llvm::seq<int64_t>(0, starts.size()));
  SmallVector<OpFoldResult> moving = runTimeAxes(l, 3);
  if (l.failed())
    return failure();
  if (auto constant = l.has(3) ? l.constInts(3) : std::nullopt) {
    axes = *constant;
    for (int64_t &axis : axes)
      axis = axis < 0 ? axis + rank : axis;
  }
  SmallVector<OpFoldResult> steps(starts.size(), l.index(1));
  if (l.has(4))
    steps = l.indexElements(l.in(4));
  if (!moving.empty() && moving.size() == starts.size() &&
      ends.size() == starts.size() && steps.size() == starts.size()) {
    SmallVector<OpFoldResult> zeros(rank, l.index(0)), ones(rank, l.index(1));
    starts = spreadAlong(l, moving, starts, zeros);
    ends = spreadAlong(l, moving, ends, l.sizes(data));
    steps = spreadAlong(l, moving, steps, ones);
    axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size())
    return l.fail("starts, ends, axes and steps differ in length");

  SmallVector<OpFoldResult> offsets(rank, l.index(0)),
      strides(rank, l.index(1));
  SmallVector<OpFoldResult> sizes = l.sizes(data);
  bool onlyForward = true;
  for (auto [start, end, axis, step] :
       llvm::zip_equal(starts, ends, axes, steps)) {
    SliceDim dim = resolveSlice(l, l.size(data, axis), start, end, step);
    offsets[axis] = dim.offset;
    sizes[axis] = dim.size;
    strides[axis] = dim.step;
    auto c = getConstantIntValue(step);
    onlyForward &= c && *c > 0;
    if (!l.outType().isDynamicDim(axis) && !getConstantIntValue(dim.size)) {
      l.requireEqual(dim.size, l.index(l.outType().getDimSize(axis)),
                     "the slice has an unexpected size");
      sizes[axis] = l.index(l.outType().getDimSize(axis));
    }
  }
  if (onlyForward)
    return l.done(l.slice(data, offsets, sizes, strides));
  // Strides of a slice are positive: walk backwards by hand.
  for (int64_t d = 0; d < rank; ++d) {
    offsets[d] = l.value(offsets[d]);
    strides[d] = l.value(strides[d]);
  }
  return l.done(
      l.generate(sizes, l.outElem(), [&](Scalars &s, ValueRange position) {
        SmallVector<Value> from;
        for (int64_t d = 0; d < rank; ++d)
          from.push_back(s.add(cast<Value>(offsets[d]),
                               s.mul(position[d], cast<Value>(strides[d]))));
        return OpLowering::at(s, data, from);
      }));
}

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

/// The position in the data that a padded position shows.
static Value padSource(Scalars &s, StringRef mode, Value position, Value low,
                       Value n) {
  Value zero = s.integer(position.getType(), 0);
  Value one = s.integer(position.getType(), 1);
  Value i = s.sub(position, low);
  auto modulo = [&](Value x, Value m) {
    Value r = arith::RemSIOp::create(s.b, s.loc, x, m);
    return s.select(s.lt(r, zero), s.add(r, m), r);
  };
  if (mode == "edge")
    return s.min(s.max(i, zero), s.sub(n, one));
  if (mode == "wrap")
    return modulo(i, n);
  // Reflection has the period 2(n - 1); one element reflects to itself.
  Value last = s.sub(n, one);
  Value period = s.max(s.add(last, last), one);
  Value r = modulo(i, period);
  return s.min(r, s.sub(period, r));
}

static LogicalResult lowerPad(OpLowering &l) {
  Value data = l.in(0);
  int64_t rank = l.inRank(0);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  SmallVector<OpFoldResult> moving = runTimeAxes(l, 3);
  if (l.failed())
    return failure();
  if (auto constant = l.has(3) ? l.constInts(3) : std::nullopt) {
    axes = *constant;
    for (int64_t &axis : axes)
      axis = axis < 0 ? axis + rank : axis;
  }
  if (!l.inType(1).hasStaticShape())
    return l.fail("the number of padded axes is not known");
  SmallVector<OpFoldResult> pads = l.indexElements(l.in(1));
  if (!moving.empty() && pads.size() == 2 * moving.size()) {
    SmallVector<OpFoldResult> zeros(rank, l.index(0));
    ArrayRef<OpFoldResult> given = pads;
    auto before =
        spreadAlong(l, moving, given.take_front(moving.size()), zeros);
    auto after = spreadAlong(l, moving, given.drop_front(moving.size()), zeros);
    pads = before;
    llvm::append_range(pads, after);
    axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  }
  if (pads.size() != 2 * axes.size())
    return l.fail("needs " + Twine(2 * axes.size()) + " pads, has " +
                  Twine(pads.size()));
  SmallVector<OpFoldResult> low(rank, l.index(0)), high(rank, l.index(0));
  for (auto [i, axis] : llvm::enumerate(axes)) {
    low[axis] = pads[i];
    high[axis] = pads[i + axes.size()];
  }
  StringRef mode = l.getString("mode", "constant");
  if (mode == "constant") {
    Value scalar =
        l.has(2) ? l.scalarOf(l.in(2)) : l.scalars().constant(l.outElem(), 0);
    return l.done(l.pad(data, low, high, scalar));
  }
  if (mode != "reflect" && mode != "edge" && mode != "wrap")
    return l.fail("mode '" + mode +
                  "' is not one of constant, reflect, edge, wrap");
  SmallVector<OpFoldResult> sizes;
  SmallVector<Value> lows, counts;
  for (int64_t d = 0; d < rank; ++d) {
    OpFoldResult n = l.size(data, d);
    sizes.push_back(l.add(l.add(n, low[d]), high[d]));
    lows.push_back(l.value(low[d]));
    counts.push_back(l.value(n));
  }
  return l.done(
      l.generate(sizes, l.outElem(), [&](Scalars &s, ValueRange position) {
        SmallVector<Value> from;
        for (int64_t d = 0; d < rank; ++d) {
          bool untouched = getConstantIntValue(low[d]) == 0 &&
                           getConstantIntValue(high[d]) == 0;
          from.push_back(
              untouched ? position[d]
                        : padSource(s, mode, position[d], lows[d], counts[d]));
        }
        return OpLowering::at(s, data, from);
      }));
}

//===----------------------------------------------------------------------===//
// Rearrangements
//===----------------------------------------------------------------------===//

/// Each dimension n becomes [repeats, n], broadcast along the first, and both
/// are joined again.
static LogicalResult lowerTile(OpLowering &l) {
  Value data = l.in(0);
  int64_t rank = l.inRank(0);
  if (!l.inType(1).hasStaticShape())
    return l.fail("the number of repeats is not known");
  SmallVector<OpFoldResult> repeats = l.indexElements(l.in(1));
  SmallVector<OpFoldResult> wide, joined;
  SmallVector<AffineExpr> from;
  for (int64_t d = 0; d < rank; ++d) {
    OpFoldResult n = l.size(data, d);
    wide.append({repeats[d], n});
    joined.push_back(l.mul(repeats[d], n));
    from.push_back(l.b.getAffineDimExpr(2 * d + 1));
  }
  AffineMap map = AffineMap::get(2 * rank, 0, from, l.b.getContext());
  Value tiled = l.pointwise(data, map, wide, l.outElem(),
                            [](Scalars &s, ValueRange v) { return v[0]; });
  return l.done(l.reshape(tiled, joined));
}

/// Reshape, permute, reshape.
static LogicalResult rearrange(OpLowering &l, ArrayRef<OpFoldResult> split,
                               ArrayRef<int64_t> perm,
                               ArrayRef<OpFoldResult> joined) {
  Value parts = l.reshape(l.in(0), split);
  return l.done(l.reshape(l.transpose(parts, perm), joined));
}

static LogicalResult lowerDepthToSpace(OpLowering &l) {
  int64_t block = l.getInt("blocksize", 1);
  auto s = l.sizes(l.in(0));
  OpFoldResult bs = l.index(block);
  OpFoldResult depth = l.floorDiv(s[1], l.index(block * block));
  SmallVector<OpFoldResult> joined{s[0], depth, l.mul(s[2], bs),
                                   l.mul(s[3], bs)};
  if (l.getString("mode", "DCR") == "CRD")
    return rearrange(l, {s[0], depth, bs, bs, s[2], s[3]}, {0, 1, 4, 2, 5, 3},
                     joined);
  return rearrange(l, {s[0], bs, bs, depth, s[2], s[3]}, {0, 3, 4, 1, 5, 2},
                   joined);
}

static LogicalResult lowerSpaceToDepth(OpLowering &l) {
  int64_t block = l.getInt("blocksize", 1);
  auto s = l.sizes(l.in(0));
  OpFoldResult bs = l.index(block);
  OpFoldResult rows = l.floorDiv(s[2], bs), columns = l.floorDiv(s[3], bs);
  SmallVector<OpFoldResult> joined{s[0], l.mul(s[1], l.index(block * block)),
                                   rows, columns};
  return rearrange(l, {s[0], s[1], rows, bs, columns, bs}, {0, 3, 5, 1, 2, 4},
                   joined);
}

static LogicalResult lowerTrilu(OpLowering &l) {
  bool upper = l.getInt("upper", 1) != 0;
  int64_t rank = l.inRank(0);
  Type elem = l.outElem();
  Value k =
      l.has(1) ? l.scalars().toIndex(l.scalarOf(l.in(1))) : l.value(l.index(0));
  Value data = l.in(0);
  return l.done(
      l.generate(l.sizes(data), elem, [&](Scalars &s, ValueRange position) {
        Value diagonal = s.add(position[rank - 2], k);
        Value column = position[rank - 1];
        Value keep = upper ? s.le(diagonal, column) : s.le(column, diagonal);
        return s.select(keep, OpLowering::at(s, data, position),
                        s.constant(elem, 0));
      }));
}

/// Reverses the first lengths[b] steps of every sequence.
static LogicalResult lowerReverseSequence(OpLowering &l) {
  int64_t batchAxis = l.getInt("batch_axis", 1);
  int64_t timeAxis = l.getInt("time_axis", 0);
  Value data = l.in(0), lengths = l.in(1);
  return l.done(l.generate(
      l.sizes(data), l.outElem(), [&](Scalars &s, ValueRange position) {
        SmallVector<Value> from(position);
        Value length =
            s.toIndex(OpLowering::at(s, lengths, position[batchAxis]));
        Value t = position[timeAxis];
        Value one = s.integer(t.getType(), 1);
        Value mirrored = s.sub(s.sub(length, one), t);
        from[timeAxis] = s.select(s.lt(t, length), mirrored, t);
        return OpLowering::at(s, data, from);
      }));
}

void addMovement(LowerTable &table) {
  table["onnx.Transpose"] = lowerTranspose;
  table["onnx.Concat"] = lowerConcat;
  table["onnx.Split"] = lowerSplit;
  table["onnx.Slice"] = lowerSlice;
  table["onnx.Pad"] = lowerPad;
  table["onnx.Tile"] = lowerTile;
  table["onnx.DepthToSpace"] = lowerDepthToSpace;
  table["onnx.SpaceToDepth"] = lowerSpaceToDepth;
  table["onnx.Trilu"] = lowerTrilu;
  table["onnx.ReverseSequence"] = lowerReverseSequence;
}

} // namespace nibble::onnx_to_linalg
