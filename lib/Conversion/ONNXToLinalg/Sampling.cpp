//===- Sampling.cpp - Grids, regions and shifted windows ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

namespace {
/// How GridSample reads an image.
struct Sampler {
  enum Mode { Nearest, Linear, Cubic } mode = Linear;
  enum Padding { Zeros, Border, Reflection } padding = Zeros;
  bool alignCorners = false;
};

/// Positions (floats that are integers) and weights along one dimension.
struct Tap {
  Value position, weight;
};
} // namespace

static Value both(Scalars &s, Value x, Value y) {
  return arith::AndIOp::create(s.b, s.loc, x, y);
}

static Value clamp(Scalars &s, Value x, Value low, Value high) {
  return s.max(low, s.min(high, x));
}

/// Folds x into [low, high] like light between two mirrors.
static Value reflect(Scalars &s, Value x, Value low, Value high) {
  Value zero = s.constant(x.getType(), 0), one = s.constant(x.getType(), 1);
  Value range = s.sub(high, low);
  Value safe = s.select(s.lt(zero, range), range, one);
  Value below = s.lt(x, low);
  Value distance = s.select(below, s.sub(low, x), s.max(s.sub(x, high), zero));
  Value turns = s.floor(s.div(distance, safe));
  Value rest = s.sub(distance, s.mul(turns, safe));
  Value half = s.mul(turns, s.constant(x.getType(), 0.5));
  Value even = s.eq(s.floor(half), half);
  // An even number of turns leaves the mirror that was hit first.
  Value fromLow = s.add(low, rest), fromHigh = s.sub(high, rest);
  Value atLow = s.select(even, fromLow, fromHigh);
  Value atHigh = s.select(even, fromHigh, fromLow);
  Value folded = s.select(below, atLow, atHigh);
  Value inside = both(s, s.le(low, x), s.le(x, high));
  return s.select(s.lt(zero, range), s.select(inside, x, folded), low);
}

/// The elements that a coordinate of the grid reads along one dimension.
static SmallVector<Tap> tapsOf(Scalars &s, const Sampler &m, Value g,
                               Value size) {
  Type type = g.getType();
  auto c = [&](double value) { return s.constant(type, value); };
  Value last = s.sub(size, c(1));
  Value low = m.alignCorners ? c(0) : c(-0.5);
  Value high = m.alignCorners ? last : s.sub(size, c(0.5));
  Value x = m.alignCorners
                ? s.mul(s.mul(s.add(g, c(1)), c(0.5)), last)
                : s.mul(s.sub(s.mul(s.add(g, c(1)), size), c(1)), c(0.5));
  if (m.mode == Sampler::Nearest)
    x = s.roundEven(x);
  // Cubic taps are moved inside one by one instead.
  if (m.padding == Sampler::Border && m.mode != Sampler::Cubic)
    x = s.select(both(s, s.le(low, x), s.le(x, high)), x,
                 clamp(s, x, c(0), last));
  if (m.padding == Sampler::Reflection)
    x = reflect(s, x, low, high);
  if (m.mode == Sampler::Nearest)
    return {{s.roundEven(x), Value()}};
  Value first = s.floor(x), t = s.sub(x, first);
  if (m.mode == Sampler::Linear)
    return {{first, s.sub(c(1), t)}, {s.add(first, c(1)), t}};
  // Cubic convolution with a = -3/4.
  SmallVector<Tap> taps;
  for (int64_t i = -1; i <= 2; ++i) {
    Value d = s.abs(s.sub(t, c(i)));
    auto polynomial = [&](double a3, double a2, double a1, double a0) {
      Value y = s.add(s.mul(c(a3), d), c(a2));
      y = s.add(s.mul(y, d), c(a1));
      return s.add(s.mul(y, d), c(a0));
    };
    Value weight = i == 0 || i == 1 ? polynomial(1.25, -2.25, 0, 1)
                                    : polynomial(-0.75, 3.75, -6, 3);
    taps.push_back({s.add(first, c(i)), weight});
  }
  return taps;
}

static LogicalResult lowerGridSample(OpLowering &l) {
  Sampler m;
  StringRef mode = l.getString("mode", "linear");
  m.mode = mode == "nearest"         ? Sampler::Nearest
           : mode.ends_with("cubic") ? Sampler::Cubic
                                     : Sampler::Linear;
  StringRef padding = l.getString("padding_mode", "zeros");
  m.padding = padding == "border"       ? Sampler::Border
              : padding == "reflection" ? Sampler::Reflection
                                        : Sampler::Zeros;
  m.alignCorners = l.getInt("align_corners", 0) != 0;
  Value x = l.in(0), grid = l.in(1);
  int64_t spatial = l.inRank(0) - 2;
  Type elem = l.outElem();
  Type type = elem.isF64() || l.inElem(1).isF64() ? Type(l.b.getF64Type())
                                                  : Type(l.b.getF32Type());
  l.requireEqual(l.size(grid, 0), l.size(x, 0),
                 "the grid has another batch size");
  l.requireEqual(l.size(grid, spatial + 1), l.index(spatial),
                 "the grid has another number of coordinates");
  SmallVector<OpFoldResult> sizes = l.sizes(grid);
  sizes.pop_back();
  sizes.insert(sizes.begin() + 1, l.size(x, 1));
  SmallVector<Value> lengths;
  for (int64_t d = 0; d < spatial; ++d)
    lengths.push_back(l.scalars().fromIndex(l.value(l.size(x, d + 2)), type));
  bool isUnsigned = l.inUnsigned(0);
  return l.done(l.generate(sizes, elem, [&](Scalars &s, ValueRange at) {
    SmallVector<SmallVector<Tap>> taps;
    for (int64_t d = 0; d < spatial; ++d) {
      SmallVector<Value> from(at);
      from.erase(from.begin() + 1);
      from.push_back(s.integer(s.b.getIndexType(), spatial - 1 - d));
      Value g = s.cast(OpLowering::at(s, grid, from), type, false, false);
      taps.push_back(tapsOf(s, m, g, lengths[d]));
    }
    // All combinations of the taps, the last dimension fastest.
    Value sum;
    size_t count = 1;
    for (const auto &list : taps)
      count *= list.size();
    for (size_t k = 0; k < count; ++k) {
      SmallVector<Value> from{at[0], at[1]};
      from.resize(2 + spatial);
      Value weight, inside;
      size_t rest = k;
      for (int64_t d = spatial - 1; d >= 0; --d) {
        const Tap &tap = taps[d][rest % taps[d].size()];
        rest /= taps[d].size();
        Value zero = s.constant(type, 0);
        Value last = s.sub(lengths[d], s.constant(type, 1));
        Value position = tap.position;
        if (m.padding == Sampler::Zeros) {
          Value in = both(s, s.le(zero, position), s.le(position, last));
          inside = inside ? both(s, inside, in) : in;
        } else if (m.padding == Sampler::Reflection) {
          Value low = m.alignCorners ? zero : s.constant(type, -0.5);
          Value high =
              m.alignCorners ? last : s.sub(lengths[d], s.constant(type, 0.5));
          position = reflect(s, position, low, high);
        }
        // Also what is not read must have an address; NaN reads element 0.
        Value number = s.eq(position, position);
        position = s.select(number, clamp(s, position, zero, last), zero);
        from[2 + d] =
            s.toIndex(s.cast(position, s.b.getI32Type(), false, false));
        if (tap.weight)
          weight = weight ? s.mul(weight, tap.weight) : tap.weight;
      }
      Value value = OpLowering::at(s, x, from);
      if (m.mode != Sampler::Nearest)
        value = s.cast(value, type, isUnsigned, false);
      if (inside)
        value = s.select(inside, value, s.constant(value.getType(), 0));
      if (weight)
        value = s.mul(weight, value);
      sum = sum ? s.add(sum, value) : value;
    }
    return s.cast(sum, elem, false, isUnsigned);
  }));
}

static LogicalResult lowerAffineGrid(OpLowering &l) {
  Value theta = l.in(0);
  int64_t spatial = l.outRank() - 2;
  bool align = l.getInt("align_corners", 0) != 0;
  if (l.inType(1).getDimSize(0) != spatial + 2)
    return l.fail("size must have " + Twine(spatial + 2) + " elements");
  SmallVector<OpFoldResult> size = l.indexElements(l.in(1));
  l.requireEqual(l.size(theta, 0), size[0], "size has another batch size");
  SmallVector<OpFoldResult> sizes{size[0]};
  sizes.append(size.begin() + 2, size.end());
  sizes.push_back(l.index(spatial));
  Type elem = l.outElem(), type = computeType(elem);
  SmallVector<Value> lengths;
  for (int64_t d = 0; d < spatial; ++d)
    lengths.push_back(l.scalars().fromIndex(l.value(size[d + 2]), type));
  return l.done(l.generate(sizes, elem, [&](Scalars &s, ValueRange at) {
    auto c = [&](double value) { return s.constant(type, value); };
    auto entry = [&](int64_t column) {
      Value value = OpLowering::at(
          s, theta, {at[0], at.back(), s.integer(s.b.getIndexType(), column)});
      return s.cast(value, type, false, false);
    };
    Value sum = entry(spatial);
    for (int64_t d = 0; d < spatial; ++d) {
      Value i = s.fromIndex(at[d + 1], type), n = lengths[d], position;
      if (align) {
        Value last = s.max(s.sub(n, c(1)), c(1));
        position = s.sub(s.div(s.mul(c(2), i), last), c(1));
      } else {
        position = s.sub(s.div(s.add(s.mul(c(2), i), c(1)), n), c(1));
      }
      // The last dimension of the image is the first coordinate.
      sum = s.add(sum, s.mul(entry(spatial - 1 - d), position));
    }
    return s.cast(sum, elem, false, false);
  }));
}

//===----------------------------------------------------------------------===//
// Linear interpolation of images
//===----------------------------------------------------------------------===//

namespace {
/// The neighbours of a coordinate and their weights.
struct Neighbours {
  Value low, high, lowWeight, highWeight;
};
} // namespace

static Value bilinear(OpLowering &l, Scalars &s, Value x, Value image,
                      Value channel, const Neighbours &y,
                      const Neighbours &column,
                      llvm::function_ref<Value(Value, Value)> combine) {
  Value result;
  Type type = y.lowWeight.getType();
  for (auto [row, rowWeight] :
       {std::pair(y.low, y.lowWeight), std::pair(y.high, y.highWeight)})
    for (auto [at, weight] : {std::pair(column.low, column.lowWeight),
                              std::pair(column.high, column.highWeight)}) {
      Value pixel = OpLowering::at(s, x, {image, channel, row, at});
      pixel = s.cast(pixel, type, false, false);
      Value term = s.mul(s.mul(rowWeight, weight), pixel);
      result = result ? combine(result, term) : term;
    }
  return result;
}

/// An index that may be outside, from a float.
static Value clampedIndex(Scalars &s, Value position, Value last) {
  Value zero = s.constant(position.getType(), 0);
  Value safe =
      s.select(s.eq(position, position), clamp(s, position, zero, last), zero);
  return s.toIndex(s.cast(safe, s.b.getI32Type(), false, false));
}

/// Neighbours with weight zero where they are outside.
static Neighbours neighboursOrZero(Scalars &s, Value position, Value length) {
  Type type = position.getType();
  Value one = s.constant(type, 1), zero = s.constant(type, 0);
  Value last = s.sub(length, one), low = s.floor(position);
  Value high = s.add(low, one), t = s.sub(position, low);
  auto weightAt = [&](Value at, Value weight) {
    Value inside = both(s, s.le(zero, at), s.le(at, last));
    return s.select(inside, weight, zero);
  };
  return {clampedIndex(s, low, last), clampedIndex(s, high, last),
          weightAt(low, s.sub(one, t)), weightAt(high, t)};
}

/// Windows are read into columns; the rest is a product of matrices.
static LogicalResult lowerDeformConv(OpLowering &l) {
  Value x = l.in(0), weight = l.in(1), offset = l.in(2);
  int64_t group = l.getInt("group", 1), groups = l.getInt("offset_group", 1);
  auto dims = readSpatialDims(l, x, {l.size(weight, 2), l.size(weight, 3)});
  if (failed(dims))
    return failure();
  Type elem = l.outElem(), type = computeType(elem);
  OpFoldResult channels = l.size(x, 1);
  OpFoldResult kernel = l.mul((*dims)[0].kernel, (*dims)[1].kernel);
  OpFoldResult places = l.mul((*dims)[0].out, (*dims)[1].out);
  if (group < 1 || groups < 1)
    return l.fail("group and offset_group must be at least 1");
  l.requireEqual(l.mul(l.size(weight, 1), l.index(group)), channels,
                 "the weight does not fit the channels");
  l.requireEqual(l.size(offset, 1), l.mul(l.index(2 * groups), kernel),
                 "the offset does not fit the window");
  for (int64_t d : {0, 1})
    l.requireEqual(l.size(offset, d + 2), (*dims)[d].out,
                   "the offset does not fit the result");
  Value perGroup = l.value(l.floorDiv(channels, l.index(groups)));
  Value kernelValue = l.value(kernel);
  Value columns = l.generate(
      {l.size(x, 0), channels, (*dims)[0].kernel, (*dims)[1].kernel,
       (*dims)[0].out, (*dims)[1].out},
      type, [&](Scalars &s, ValueRange at) {
        Type index = s.b.getIndexType();
        Value offsetGroup = arith::DivUIOp::create(s.b, s.loc, at[1], perGroup);
        Value tap = s.add(s.mul(at[2], l.value((*dims)[1].kernel)), at[3]);
        Value entry = s.add(s.mul(offsetGroup, kernelValue), tap);
        Neighbours near[2];
        for (int64_t d : {0, 1}) {
          const SpatialDim &dim = (*dims)[d];
          Value base =
              s.sub(s.add(s.mul(at[4 + d], s.integer(index, dim.stride)),
                          s.mul(at[2 + d], s.integer(index, dim.dilation))),
                    l.value(dim.low));
          Value component =
              s.add(s.mul(entry, s.integer(index, 2)), s.integer(index, d));
          Value shift =
              OpLowering::at(s, offset, {at[0], component, at[4], at[5]});
          Value position =
              s.add(s.fromIndex(base, type), s.cast(shift, type, false, false));
          near[d] =
              neighboursOrZero(s, position, s.fromIndex(l.value(dim.in), type));
        }
        Value value = bilinear(l, s, x, at[0], at[1], near[0], near[1],
                               [&](Value a, Value b) { return s.add(a, b); });
        if (l.has(4)) {
          Value mask = OpLowering::at(s, l.in(4), {at[0], entry, at[4], at[5]});
          value = s.mul(value, s.cast(mask, type, false, false));
        }
        return value;
      });
  OpFoldResult batch = l.size(x, 0), filters = l.size(weight, 0);
  OpFoldResult inner = l.mul(l.size(weight, 1), kernel);
  columns = l.reshape(columns, {batch, l.index(group), inner, places});
  Value rows =
      l.reshape(l.castElements(weight, type),
                {l.index(group), l.floorDiv(filters, l.index(group)), inner});
  Value product = matmulBroadcast(l, rows, columns, type);
  product =
      l.reshape(product, {batch, filters, (*dims)[0].out, (*dims)[1].out});
  if (l.has(3))
    product = l.map({product, l.unsqueeze(l.in(3), {1, 2})}, type,
                    [](Scalars &s, ValueRange v) { return s.add(v[0], v[1]); });
  return l.done(l.castElements(product, elem));
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

/// A loop from 0 to `count` that carries one scalar.
static Value
accumulate(Scalars &s, Value count, Value init,
           llvm::function_ref<Value(Scalars &, Value i, Value sum)> body) {
  Value zero = s.integer(s.b.getIndexType(), 0);
  Value one = s.integer(s.b.getIndexType(), 1);
  auto loop = scf::ForOp::create(
      s.b, s.loc, zero, count, one, init,
      [&](OpBuilder &nested, Location loc, Value i, ValueRange carried) {
        Scalars inner{nested, loc, s.isUnsigned};
        scf::YieldOp::create(nested, loc, body(inner, i, carried[0]));
      });
  return loop.getResult(0);
}

/// Neighbours inside; positions more than one outside have weight zero.
static Neighbours regionNeighbours(Scalars &s, Value position, Value length) {
  Type type = position.getType();
  Value zero = s.constant(type, 0), one = s.constant(type, 1);
  Value last = s.sub(length, one);
  Value used =
      both(s, s.le(s.constant(type, -1), position), s.le(position, length));
  Value inside = clamp(s, position, zero, last);
  Value low = s.floor(inside), t = s.sub(inside, low);
  return {clampedIndex(s, low, last), clampedIndex(s, s.add(low, one), last),
          s.select(used, s.sub(one, t), zero), s.select(used, t, zero)};
}

static LogicalResult lowerRoiAlign(OpLowering &l) {
  Value x = l.in(0), rois = l.in(1), images = l.in(2);
  bool half = l.getString("coordinate_transformation_mode", "half_pixel") ==
              "half_pixel";
  bool isMax = l.getString("mode", "avg") == "max";
  int64_t ratio = l.getInt("sampling_ratio", 0);
  double scale = l.getFloat("spatial_scale", 1);
  Type elem = l.outElem(), type = computeType(elem);
  l.requireEqual(l.size(images, 0), l.size(rois, 0),
                 "needs one image for each region");
  l.requireIndices(images, l.size(x, 0), /*allowNegative=*/false,
                   "a region is of an image that is not there");
  int64_t bins[] = {l.getInt("output_height", 1), l.getInt("output_width", 1)};
  Value lengths[] = {l.scalars().fromIndex(l.value(l.size(x, 2)), type),
                     l.scalars().fromIndex(l.value(l.size(x, 3)), type)};
  SmallVector<OpFoldResult> sizes{l.size(rois, 0), l.size(x, 1),
                                  l.index(bins[0]), l.index(bins[1])};
  return l.done(l.generate(sizes, elem, [&](Scalars &s, ValueRange at) {
    Type index = s.b.getIndexType();
    auto c = [&](double value) { return s.constant(type, value); };
    auto corner = [&](int64_t i) {
      Value value = OpLowering::at(s, rois, {at[0], s.integer(index, i)});
      value = s.mul(s.cast(value, type, false, false), c(scale));
      return half ? s.sub(value, c(0.5)) : value;
    };
    Value image = s.toIndex(OpLowering::at(s, images, at[0]));
    // Corners are (x, y).
    Value start[2], bin[2], count[2];
    for (int64_t d : {0, 1}) {
      start[d] = corner(1 - d);
      Value extent = s.sub(corner(3 - d), start[d]);
      if (!half)
        extent = s.max(extent, c(1));
      bin[d] = s.div(extent, c(bins[d]));
      start[d] = s.add(start[d], s.mul(s.fromIndex(at[2 + d], type), bin[d]));
      count[d] = ratio > 0 ? s.integer(index, ratio)
                           : s.toIndex(s.cast(s.ceil(bin[d]), s.b.getI64Type(),
                                              false, false));
    }
    auto coordinate = [&](Scalars &t, int64_t d, Value i) {
      Value step = t.div(bin[d], t.fromIndex(count[d], type));
      Value middle = t.add(t.fromIndex(i, type), t.constant(type, 0.5));
      return t.add(start[d], t.mul(middle, step));
    };
    Value init = isMax ? s.lowest(type) : c(0);
    Value sum =
        accumulate(s, count[0], init, [&](Scalars &t, Value i, Value rows) {
          Neighbours row = regionNeighbours(t, coordinate(t, 0, i), lengths[0]);
          return accumulate(
              t, count[1], rows, [&](Scalars &u, Value j, Value points) {
                Neighbours column =
                    regionNeighbours(u, coordinate(u, 1, j), lengths[1]);
                // The maximum is that of the weighted neighbours.
                Value value = bilinear(
                    l, u, x, image, at[1], row, column, [&](Value a, Value b) {
                      return isMax ? u.max(a, b) : u.add(a, b);
                    });
                return isMax ? u.max(points, value) : u.add(points, value);
              });
        });
    Value points = s.mul(count[0], count[1]);
    Value none = s.le(points, s.integer(index, 0));
    Value divisor = s.fromIndex(s.max(points, s.integer(index, 1)), type);
    Value result = isMax ? sum : s.div(sum, divisor);
    return s.cast(s.select(none, c(0), result), elem, false, false);
  }));
}

static LogicalResult lowerMaxRoiPool(OpLowering &l) {
  Value x = l.in(0), rois = l.in(1);
  SmallVector<int64_t> bins = l.getInts("pooled_shape");
  double scale = l.getFloat("spatial_scale", 1);
  Type elem = l.outElem(), type = computeType(elem), i64 = l.b.getI64Type();
  Value images = l.slice(rois, 1, l.index(0), l.index(1));
  images = l.castElements(images, i64);
  l.requireIndices(images, l.size(x, 0), /*allowNegative=*/false,
                   "a region is of an image that is not there");
  SmallVector<OpFoldResult> sizes{l.size(rois, 0), l.size(x, 1),
                                  l.index(bins[0]), l.index(bins[1])};
  Value lengths[] = {l.value(l.size(x, 2)), l.value(l.size(x, 3))};
  return l.done(l.generate(sizes, elem, [&](Scalars &s, ValueRange at) {
    Type index = s.b.getIndexType();
    auto c = [&](double value) { return s.constant(type, value); };
    Value zero = s.integer(index, 0);
    auto asIndex = [&](Value value) {
      return s.toIndex(s.cast(value, i64, false, false));
    };
    auto corner = [&](int64_t i) {
      Value value = OpLowering::at(s, rois, {at[0], s.integer(index, i)});
      value = s.mul(s.cast(value, type, false, false), c(scale));
      // Halves are rounded away from zero.
      return s.floor(s.add(value, c(0.5)));
    };
    Value from[2], count[2];
    for (int64_t d : {0, 1}) {
      Value start = corner(2 - d);
      Value extent = s.max(s.add(s.sub(corner(4 - d), start), c(1)), c(1));
      Value bin = s.div(extent, c(bins[d]));
      Value i = s.fromIndex(at[2 + d], type);
      auto edge = [&](Value position) {
        Value length = lengths[d];
        return s.min(s.max(asIndex(s.add(position, start)), zero), length);
      };
      from[d] = edge(s.floor(s.mul(i, bin)));
      Value to = edge(s.ceil(s.mul(s.add(i, c(1)), bin)));
      count[d] = s.max(s.sub(to, from[d]), zero);
    }
    Value image = OpLowering::at(s, images, {at[0], zero});
    image = s.toIndex(image);
    Value best = accumulate(
        s, count[0], s.lowest(type), [&](Scalars &t, Value i, Value rows) {
          return accumulate(
              t, count[1], rows, [&](Scalars &u, Value j, Value seen) {
                Value pixel = OpLowering::at(
                    u, x, {image, at[1], u.add(from[0], i), u.add(from[1], j)});
                return u.max(seen, u.cast(pixel, type, false, false));
              });
        });
    Value none = s.le(s.mul(count[0], count[1]), zero);
    return s.cast(s.select(none, c(0), best), elem, false, false);
  }));
}

void addSampling(LowerTable &table) {
  table["onnx.GridSample"] = lowerGridSample;
  table["onnx.AffineGrid"] = lowerAffineGrid;
  table["onnx.DeformConv"] = lowerDeformConv;
  table["onnx.RoiAlign"] = lowerRoiAlign;
  table["onnx.MaxRoiPool"] = lowerMaxRoiPool;
}

} // namespace nibble::onnx_to_linalg
