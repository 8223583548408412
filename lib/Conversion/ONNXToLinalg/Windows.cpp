//===- Windows.cpp - Windows put back, centers, chosen boxes --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

static LogicalResult lowerCenterCropPad(OpLowering &l) {
  Value x = l.in(0);
  int64_t rank = l.inRank(0);
  SmallVector<int64_t> axes =
      l.getInts("axes", llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  if (l.inType(1).getDimSize(0) != static_cast<int64_t>(axes.size()))
    return l.fail("shape must have one element for each axis");
  SmallVector<OpFoldResult> wanted = l.indexElements(l.in(1));
  SmallVector<OpFoldResult> low(rank, l.index(0)), high(rank, l.index(0));
  for (auto [axis, size] : llvm::zip_equal(axes, wanted)) {
    int64_t d = axis < 0 ? axis + rank : axis;
    OpFoldResult more = l.sub(size, l.size(x, d));
    // Rounded to zero, so that cutting off and adding both put less in front.
    if (auto known = getConstantIntValue(more))
      low[d] = l.index(*known / 2);
    else
      low[d] =
          arith::DivSIOp::create(l.b, l.loc, l.value(more), l.value(l.index(2)))
              .getResult();
    high[d] = l.sub(more, low[d]);
  }
  return l.done(l.pad(x, low, high, l.scalars().constant(l.outElem(), 0)));
}

/// Every window's elements are added to a padded image.
static LogicalResult lowerCol2Im(OpLowering &l) {
  Value x = l.in(0);
  int64_t spatial = l.outRank() - 2;
  if (l.inType(1).getDimSize(0) != spatial ||
      l.inType(2).getDimSize(0) != spatial)
    return l.fail("image_shape and block_shape must have " + Twine(spatial) +
                  " elements");
  SmallVector<OpFoldResult> image = l.indexElements(l.in(1));
  SmallVector<OpFoldResult> block = l.indexElements(l.in(2));
  SmallVector<int64_t> ones(spatial, 1), zeros(2 * spatial, 0);
  SmallVector<int64_t> strides = l.getInts("strides", ones);
  SmallVector<int64_t> dilations = l.getInts("dilations", ones);
  SmallVector<int64_t> pads = l.getInts("pads", zeros);
  OpFoldResult batch = l.size(x, 0);
  OpFoldResult channels = l.floorDiv(l.size(x, 1), l.product(block));
  SmallVector<OpFoldResult> padded{batch, channels}, split{batch, channels};
  SmallVector<OpFoldResult> counts;
  for (int64_t d = 0; d < spatial; ++d) {
    OpFoldResult size = l.add(image[d], l.index(pads[d] + pads[d + spatial]));
    padded.push_back(size);
    OpFoldResult reach = l.add(
        l.mul(l.index(dilations[d]), l.sub(block[d], l.index(1))), l.index(1));
    counts.push_back(
        l.add(l.floorDiv(l.sub(size, reach), l.index(strides[d])), l.index(1)));
  }
  l.requireEqual(l.size(x, 2), l.product(counts),
                 "the input has not as many windows as the image");
  l.requireEqual(l.size(x, 1), l.mul(channels, l.product(block)),
                 "the input's dimension 1 is no multiple of the window");
  llvm::append_range(split, block);
  llvm::append_range(split, counts);
  Value windows = l.reshape(x, split);
  Type elem = l.outElem();
  Value sums = loopOver(
      l, split, l.filled(padded, l.scalars().constant(elem, 0)),
      [&](Scalars &s, ValueRange at, Value tensor) -> Value {
        SmallVector<Value> to(at.take_front(2));
        for (int64_t d = 0; d < spatial; ++d) {
          Value tap =
              s.mul(at[2 + d], s.integer(s.b.getIndexType(), dilations[d]));
          Value start = s.mul(at[2 + spatial + d],
                              s.integer(s.b.getIndexType(), strides[d]));
          to.push_back(s.add(start, tap));
        }
        Value sum = s.add(OpLowering::at(s, tensor, to),
                          OpLowering::at(s, windows, at));
        return tensor::InsertOp::create(s.b, s.loc, sum, tensor, to);
      });
  SmallVector<OpFoldResult> offsets{l.index(0), l.index(0)};
  SmallVector<OpFoldResult> sizes{batch, channels};
  for (int64_t d = 0; d < spatial; ++d) {
    offsets.push_back(l.index(pads[d]));
    sizes.push_back(image[d]);
  }
  return l.done(l.slice(sums, offsets, sizes));
}

static LogicalResult lowerMaxUnpool(OpLowering &l) {
  Value x = l.in(0), positions = l.in(1);
  SmallVector<int64_t> kernel = l.getInts("kernel_shape");
  int64_t spatial = kernel.size();
  SmallVector<int64_t> ones(spatial, 1), zeros(2 * spatial, 0);
  SmallVector<int64_t> strides = l.getInts("strides", ones);
  SmallVector<int64_t> pads = l.getInts("pads", zeros);
  SmallVector<OpFoldResult> sizes{l.size(x, 0), l.size(x, 1)};
  for (int64_t d = 0; d < spatial; ++d)
    sizes.push_back(
        l.add(l.mul(l.sub(l.size(x, d + 2), l.index(1)), l.index(strides[d])),
              l.index(kernel[d] - pads[d] - pads[d + spatial])));
  for (int64_t d = 0; d < l.inRank(0); ++d)
    l.requireEqual(l.size(positions, d), l.size(x, d),
                   "the indices have another shape than the input");
  OpFoldResult total = l.product(sizes);
  l.requireIndices(positions, total, /*allowNegative=*/false,
                   "an index is outside of the result");
  Type elem = l.outElem();
  Value flat =
      loopOver(l, l.sizes(x), l.filled(total, l.scalars().constant(elem, 0)),
               [&](Scalars &s, ValueRange at, Value tensor) -> Value {
                 Value to = s.toIndex(OpLowering::at(s, positions, at));
                 return tensor::InsertOp::create(
                     s.b, s.loc, OpLowering::at(s, x, at), tensor, to);
               });
  Value result = l.reshape(flat, sizes);
  if (!l.has(2))
    return l.done(result);
  SmallVector<OpFoldResult> wanted = l.indexElements(l.in(2));
  SmallVector<OpFoldResult> low(sizes.size(), l.index(0)), high;
  for (auto [want, size] : llvm::zip_equal(wanted, sizes))
    high.push_back(l.sub(want, size));
  return l.done(l.pad(result, low, high, l.scalars().constant(elem, 0)));
}

//===----------------------------------------------------------------------===//
// Non-maximum suppression
//===----------------------------------------------------------------------===//

namespace {
/// Two opposite corners, ordered, and the area.
struct Box {
  Value low[2], high[2], area;
};
} // namespace

static Box makeBox(Scalars &s, ArrayRef<Value> v, bool centered) {
  Box box;
  Value half = s.constant(v[0].getType(), 0.5);
  for (int64_t d : {0, 1}) {
    Value a = v[d], b = v[d + 2];
    if (centered) {
      // Center and size.
      Value reach = s.mul(b, half);
      b = s.add(a, reach);
      a = s.sub(a, reach);
    }
    box.low[d] = s.min(a, b);
    box.high[d] = s.max(a, b);
  }
  box.area =
      s.mul(s.sub(box.high[0], box.low[0]), s.sub(box.high[1], box.low[1]));
  return box;
}

/// Whether the boxes share more than `threshold` of what they cover.
static Value overlaps(Scalars &s, const Box &p, const Box &q, Value threshold) {
  Value zero = s.constant(p.area.getType(), 0), shared;
  for (int64_t d : {0, 1}) {
    Value extent = s.max(
        s.sub(s.min(p.high[d], q.high[d]), s.max(p.low[d], q.low[d])), zero);
    shared = shared ? s.mul(shared, extent) : extent;
  }
  Value all = s.sub(s.add(p.area, q.area), shared);
  Value some =
      arith::AndIOp::create(s.b, s.loc, s.lt(zero, shared), s.lt(zero, all));
  Value above = s.lt(threshold, s.div(shared, all));
  return arith::AndIOp::create(s.b, s.loc, some, above);
}

/// Takes the best box again and again, each time hiding it and what it
/// overlaps. Hidden scores are minus infinity.
static LogicalResult lowerNonMaxSuppression(OpLowering &l) {
  bool centered = l.getInt("center_point_box", 0) != 0;
  Type f32 = l.b.getF32Type(), i64 = l.b.getI64Type();
  Type indexType = l.b.getIndexType(), i1 = l.b.getI1Type();
  Scalars s = l.scalars();
  OpFoldResult batches = l.size(l.in(1), 0), classes = l.size(l.in(1), 1);
  OpFoldResult count = l.size(l.in(1), 2);
  l.requireEqual(l.size(l.in(0), 0), batches,
                 "boxes and scores have different batch sizes");
  l.requireEqual(l.size(l.in(0), 1), count,
                 "boxes and scores are not equally many");
  auto number = [&](unsigned i, double fallback) {
    return l.has(i) ? l.scalarOf(l.in(i)) : s.constant(f32, fallback);
  };
  Value iou = number(3, 0), least = number(4, 0);
  Value limit = l.value(l.index(0));
  if (l.has(2))
    limit = s.toIndex(s.max(l.scalarOf(l.in(2)), s.integer(i64, 0)));
  limit = s.min(limit, l.value(count));
  // Coordinates one after the other, so that they are read as vectors.
  Value boxes = l.transpose(l.in(0), {0, 2, 1});
  Value zero = l.value(l.index(0)), one = l.value(l.index(1));
  OpFoldResult room = l.mul(l.mul(batches, classes), limit);
  Value chosen = l.empty({room, l.index(3)}, i64);

  auto loops = [&](Value upper, ValueRange init) {
    auto loop = scf::ForOp::create(l.b, l.loc, zero, upper, one, init);
    l.b.setInsertionPointToStart(loop.getBody());
    return loop;
  };
  OpBuilder::InsertionGuard guard(l.b);
  auto batchLoop = loops(l.value(batches), {chosen, zero});
  auto classLoop =
      loops(l.value(classes), ValueRange(batchLoop.getRegionIterArgs()));
  Value batch = batchLoop.getInductionVar(), cls = classLoop.getInductionVar();
  auto rowOf = [&](Value tensor, OpFoldResult i, OpFoldResult j) {
    Value row =
        l.slice(tensor, {i, j, l.index(0)}, {l.index(1), l.index(1), count});
    return l.reshape(row, count);
  };
  SmallVector<Value> coordinates;
  for (int64_t i = 0; i < 4; ++i)
    coordinates.push_back(rowOf(boxes, batch, l.index(i)));
  Value scores =
      l.map(rowOf(l.in(1), batch, cls), f32, [&](Scalars &t, ValueRange v) {
        Value good = l.has(4) ? t.lt(least, v[0]) : t.eq(v[0], v[0]);
        return t.select(good, v[0], t.lowest(f32));
      });

  // State: whether to go on, scores, result, its length, how many here.
  auto args = classLoop.getRegionIterArgs();
  SmallVector<Value> init{s.integer(i1, 1), scores, args[0], args[1], zero};
  SmallVector<Type> types(ValueRange(init).getTypes());
  SmallVector<Location> locs(types.size(), l.loc);
  auto loop = scf::WhileOp::create(l.b, l.loc, types, init);
  {
    OpBuilder::InsertionGuard inner(l.b);
    Block *before = l.b.createBlock(&loop.getBefore(), {}, types, locs);
    Value more = arith::AndIOp::create(l.b, l.loc, before->getArgument(0),
                                       s.lt(before->getArgument(4), limit));
    scf::ConditionOp::create(l.b, l.loc, more, before->getArguments());
    Block *after = l.b.createBlock(&loop.getAfter(), {}, types, locs);
    Value left = after->getArgument(1);
    Value best = l.scalarOf(
        l.reduce(left, 0, s.lowest(f32),
                 [](Scalars &t, ValueRange v) { return t.max(v[1], v[0]); }));
    Value found = s.lt(s.lowest(f32), best);
    Value places = l.generate(count, i64, [&](Scalars &t, ValueRange at) {
      Value same = t.eq(OpLowering::at(t, left, at), best);
      return t.select(same, t.fromIndex(at[0], i64), t.highest(i64));
    });
    Value place = l.scalarOf(
        l.reduce(places, 0, s.highest(i64),
                 [](Scalars &t, ValueRange v) { return t.min(v[1], v[0]); }));
    Value safe = s.select(found, s.toIndex(place), zero);
    SmallVector<Value> corner;
    for (Value coordinate : coordinates)
      corner.push_back(OpLowering::at(s, coordinate, safe));
    Box winner = makeBox(s, corner, centered);
    SmallVector<Value> ins{left};
    llvm::append_range(ins, coordinates);
    AffineMap id = l.b.getMultiDimIdentityMap(1);
    SmallVector<AffineMap> maps(ins.size(), id);
    Value rest =
        l.pointwise(ins, maps, count, f32, [&](Scalars &t, ValueRange v) {
          Value at = linalg::IndexOp::create(t.b, t.loc, 0);
          Box box = makeBox(t, SmallVector<Value>(v.drop_front()), centered);
          Value hidden = arith::OrIOp::create(t.b, t.loc, t.eq(at, safe),
                                              overlaps(t, winner, box, iou));
          return t.select(hidden, t.lowest(f32), v[0]);
        });
    Value length = after->getArgument(3);
    auto written = scf::IfOp::create(
        l.b, l.loc, found,
        [&](OpBuilder &then, Location loc) {
          Scalars t{then, loc};
          Value tensor = after->getArgument(2);
          SmallVector<Value> entry{batch, cls, safe};
          for (auto [i, v] : llvm::enumerate(entry))
            tensor = tensor::InsertOp::create(
                then, loc, t.fromIndex(v, i64), tensor,
                ValueRange{length, t.integer(indexType, i)});
          scf::YieldOp::create(then, loc,
                               ValueRange{tensor, t.add(length, one)});
        },
        [&](OpBuilder &otherwise, Location loc) {
          scf::YieldOp::create(otherwise, loc,
                               ValueRange{after->getArgument(2), length});
        });
    scf::YieldOp::create(l.b, l.loc,
                         ValueRange{found, rest, written.getResult(0),
                                    written.getResult(1),
                                    s.add(after->getArgument(4), one)});
  }
  scf::YieldOp::create(l.b, l.loc, loop.getResults().slice(2, 2));
  l.b.setInsertionPointAfter(classLoop);
  scf::YieldOp::create(l.b, l.loc, classLoop.getResults());
  l.b.setInsertionPointAfter(batchLoop);
  return l.done(l.slice(batchLoop.getResult(0), {l.index(0), l.index(0)},
                        {batchLoop.getResult(1), l.index(3)}));
}

static LogicalResult refuseImageDecoder(OpLowering &l) {
  return l.fail("a compiled model decodes no image files; decode them before "
                "and give the pixels as an input");
}

void addWindows(LowerTable &table) {
  table["onnx.ImageDecoder"] = refuseImageDecoder;
  table["onnx.CenterCropPad"] = lowerCenterCropPad;
  table["onnx.Col2Im"] = lowerCol2Im;
  table["onnx.MaxUnpool"] = lowerMaxUnpool;
  table["onnx.NonMaxSuppression"] = lowerNonMaxSuppression;
}

} // namespace nibble::onnx_to_linalg
