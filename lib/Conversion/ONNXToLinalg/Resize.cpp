//===- Resize.cpp - Resampling
//------------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Resampling is separable: each resized axis is a sum over a few taps, whose
// positions and weights depend on the place along this axis only. They are
// computed in f64, as the reference does, before the data is touched.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

namespace {
/// How one axis is resampled.
struct Axis {
  int64_t dim;
  OpFoldResult in, out;
  /// Ratio of sizes that coordinates are mapped with, f64.
  Value scale;
  std::optional<double> knownScale;
  /// Region of interest, f64, in fractions of the axis.
  Value start, end;
};

/// Attributes that all axes share.
struct Method {
  enum Kind { Nearest, Linear, Cubic } kind = Nearest;
  StringRef coordinates, rounding;
  double cubicCoefficient = -0.75, extrapolation = 0;
  bool antialias = false, excludeOutside = false;

  bool crops() const { return coordinates == "tf_crop_and_resize"; }
};

/// Positions [out, taps] (i64) and weights [out, taps] (f32) of an axis; the
/// position is -1 where the extrapolation value stands.
struct Taps {
  Value positions, weights;
  int64_t count;
};
} // namespace

static Value f64(Scalars &s, double value) {
  return s.constant(s.b.getF64Type(), value);
}

/// The coordinate in the input of output position `j` (index).
static Value originalCoordinate(Scalars &s, const Method &m, const Axis &axis,
                                Value j, Value in, Value out) {
  Type type = s.b.getF64Type();
  Value x = s.fromIndex(j, type);
  Value one = f64(s, 1), half = f64(s, 0.5);
  Value centered = s.sub(s.div(s.add(x, half), axis.scale), half);
  Value single = s.le(out, one);
  // The length before it was cut to an integer.
  Value length = s.mul(in, axis.scale);
  if (m.coordinates == "asymmetric")
    return s.div(x, axis.scale);
  if (m.coordinates == "align_corners") {
    Value span = s.select(single, one, s.sub(length, one));
    Value aligned = s.div(s.mul(x, s.sub(in, one)), span);
    return s.select(single, f64(s, 0), aligned);
  }
  if (m.coordinates == "pytorch_half_pixel")
    return s.select(single, f64(s, 0), centered);
  if (m.coordinates == "half_pixel_symmetric") {
    Value adjustment = s.div(out, length);
    Value center = s.div(in, f64(s, 2));
    return s.add(s.mul(center, s.sub(one, adjustment)), centered);
  }
  if (m.crops()) {
    Value last = s.sub(in, one);
    Value span = s.select(single, one, s.sub(length, one));
    Value step = s.div(s.mul(s.sub(axis.end, axis.start), last), span);
    Value inside = s.add(s.mul(axis.start, last), s.mul(x, step));
    Value middle = s.mul(s.mul(half, s.add(axis.start, axis.end)), last);
    return s.select(single, middle, inside);
  }
  return centered;
}

static Value roundNearest(Scalars &s, StringRef mode, Value x) {
  if (mode == "floor")
    return s.floor(x);
  if (mode == "ceil")
    return s.ceil(x);
  Value half = f64(s, 0.5);
  // Halves go down, or up.
  return mode == "round_prefer_ceil" ? s.floor(s.add(x, half))
                                     : s.ceil(s.sub(x, half));
}

/// The filter at a distance, before normalization.
static Value filterWeight(Scalars &s, const Method &m, Value distance) {
  Value d = s.abs(distance), one = f64(s, 1), zero = f64(s, 0);
  if (m.kind == Method::Linear)
    return s.max(s.sub(one, d), zero);
  double a = m.cubicCoefficient;
  auto polynomial = [&](double c3, double c2, double c1, double c0) {
    Value y = s.add(s.mul(f64(s, c3), d), f64(s, c2));
    y = s.add(s.mul(y, d), f64(s, c1));
    return s.add(s.mul(y, d), f64(s, c0));
  };
  Value near = polynomial(a + 2, -(a + 3), 0, 1);
  Value far = polynomial(a, -5 * a, 8 * a, -4 * a);
  Value outer = s.select(s.lt(d, f64(s, 2)), far, zero);
  return s.select(s.le(d, one), near, outer);
}

/// Tables of positions and weights; the weights of one place add up to 1.
static FailureOr<Taps> makeTaps(OpLowering &l, const Method &m,
                                const Axis &axis) {
  int64_t support = m.kind == Method::Cubic ? 2 : 1, first = 1 - support;
  double stretch = 1;
  if (m.antialias && m.kind != Method::Nearest) {
    if (!axis.knownScale)
      return l.fail("antialias needs scales that are known");
    stretch = std::min(*axis.knownScale, 1.0);
    first = static_cast<int64_t>(std::floor(-support / stretch) + 1);
  }
  Taps taps;
  taps.count = m.kind == Method::Nearest ? 1 : 2 - 2 * first;
  SmallVector<OpFoldResult> sizes{axis.out, l.index(taps.count)};
  Scalars outer = l.scalars();
  Type wide = l.b.getF64Type(), i64 = l.b.getI64Type();
  Value in = outer.fromIndex(l.value(axis.in), wide);
  Value out = outer.fromIndex(l.value(axis.out), wide);
  auto tapAt = [&](Scalars &s, Value x, Value t) {
    if (m.kind == Method::Nearest)
      return roundNearest(s, m.rounding, x);
    return s.add(s.floor(x), s.add(s.fromIndex(t, wide), f64(s, first)));
  };
  taps.positions = l.generate(sizes, i64, [&](Scalars &s, ValueRange at) {
    Value x = originalCoordinate(s, m, axis, at[0], in, out);
    Value last = s.sub(in, f64(s, 1));
    Value clamped = s.min(s.max(tapAt(s, x, at[1]), f64(s, 0)), last);
    if (m.crops()) {
      Value outside =
          arith::OrIOp::create(s.b, s.loc, s.lt(x, f64(s, 0)), s.lt(last, x));
      clamped = s.select(outside, f64(s, -1), clamped);
    }
    return s.cast(clamped, i64, false, false);
  });
  if (m.kind == Method::Nearest)
    return taps;
  Value raw = l.generate(sizes, wide, [&](Scalars &s, ValueRange at) {
    Value x = originalCoordinate(s, m, axis, at[0], in, out);
    Value tap = tapAt(s, x, at[1]);
    Value distance = s.mul(s.sub(tap, x), f64(s, stretch));
    Value weight = filterWeight(s, m, distance);
    if (!m.excludeOutside)
      return weight;
    Value inside =
        arith::AndIOp::create(s.b, s.loc, s.le(f64(s, 0), tap), s.lt(tap, in));
    return s.select(inside, weight, f64(s, 0));
  });
  Value sum =
      l.reduce(raw, 1, outer.constant(wide, 0),
               [](Scalars &s, ValueRange v) { return s.add(v[1], v[0]); });
  taps.weights =
      l.mapReduced(raw, sum, 1, l.b.getF32Type(), [](Scalars &s, ValueRange v) {
        return s.cast(s.div(v[0], v[1]), s.b.getF32Type(), false, false);
      });
  return taps;
}

/// One element for each place: nothing is computed with the data.
static Value resampleNearest(OpLowering &l, Value x, ArrayRef<Axis> axes,
                             ArrayRef<Taps> taps, const Method &m,
                             ArrayRef<OpFoldResult> sizes) {
  Type elem = l.outElem();
  return l.generate(sizes, elem, [&](Scalars &s, ValueRange at) {
    SmallVector<Value> from(at);
    Value zero = s.integer(s.b.getIndexType(), 0), outside;
    for (auto [axis, table] : llvm::zip_equal(axes, taps)) {
      Value i =
          s.toIndex(OpLowering::at(s, table.positions, {at[axis.dim], zero}));
      if (m.crops()) {
        Value out = s.lt(i, zero);
        outside = outside
                      ? Value(arith::OrIOp::create(s.b, s.loc, outside, out))
                      : out;
        i = s.max(i, zero);
      }
      from[axis.dim] = i;
    }
    Value element = OpLowering::at(s, x, from);
    return outside
               ? s.select(outside, s.constant(elem, m.extrapolation), element)
               : element;
  });
}

/// Sums the taps along one axis, in f32.
static Value resampleAxis(OpLowering &l, Value x, const Axis &axis,
                          const Taps &taps, const Method &m) {
  Type f32 = l.b.getF32Type();
  SmallVector<OpFoldResult> sizes = l.sizes(x);
  sizes[axis.dim] = axis.out;
  return l.generate(sizes, f32, [&](Scalars &s, ValueRange at) {
    Type index = s.b.getIndexType();
    Value zero = s.integer(index, 0), sum, outside;
    // Few taps: spelled out, so that nothing is carried through memory.
    for (int64_t t = 0; t < taps.count; ++t) {
      SmallVector<Value> entry{at[axis.dim], s.integer(index, t)}, from(at);
      Value i = s.toIndex(OpLowering::at(s, taps.positions, entry));
      if (m.crops()) {
        outside = s.lt(i, zero);
        i = s.max(i, zero);
      }
      from[axis.dim] = i;
      Value term = s.mul(OpLowering::at(s, x, from),
                         OpLowering::at(s, taps.weights, entry));
      sum = sum ? s.add(sum, term) : term;
    }
    return outside ? s.select(outside, s.constant(f32, m.extrapolation), sum)
                   : sum;
  });
}

/// The axes that change, with output sizes and scales.
static FailureOr<SmallVector<Axis>> readAxes(OpLowering &l, const Method &m) {
  int64_t rank = l.inRank(0);
  SmallVector<int64_t> dims =
      l.getInts("axes", llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  bool byScale = l.has(2) && l.inType(2).getNumElements() > 0;
  unsigned operand = byScale ? 2 : 3;
  if (!l.has(operand))
    return l.fail("needs scales or sizes");
  if (l.inType(operand).getDimSize(0) != static_cast<int64_t>(dims.size()))
    return l.fail("needs one scale or size for each axis");
  auto scales = byScale ? l.constFloats(2) : std::nullopt;
  auto sizes = byScale ? std::nullopt : l.constInts(3);
  SmallVector<OpFoldResult> wanted;
  if (!byScale)
    wanted = l.indexElements(l.in(3));
  StringRef policy = l.getString("keep_aspect_ratio_policy", "stretch");
  std::optional<double> common;
  if (!byScale && policy != "stretch") {
    if (!sizes)
      return l.fail("keep_aspect_ratio_policy needs constant sizes");
    for (auto [dim, size] : llvm::zip_equal(dims, *sizes)) {
      auto in =
          getConstantIntValue(l.size(l.in(0), dim < 0 ? dim + rank : dim));
      if (!in)
        return l.fail("keep_aspect_ratio_policy needs known input sizes");
      double ratio = static_cast<double>(size) / *in;
      common = !common                  ? ratio
               : policy == "not_larger" ? std::min(*common, ratio)
                                        : std::max(*common, ratio);
    }
  }
  Scalars s = l.scalars();
  Type wide = l.b.getF64Type();
  SmallVector<Axis> axes;
  for (auto [i, d] : llvm::enumerate(dims)) {
    Axis axis;
    axis.dim = d < 0 ? d + rank : d;
    axis.in = l.size(l.in(0), axis.dim);
    auto in = getConstantIntValue(axis.in);
    if (scales)
      axis.knownScale = (*scales)[i];
    else if (common)
      axis.knownScale = *common;
    else if (sizes && in)
      axis.knownScale = static_cast<double>((*sizes)[i]) / *in;
    if (!l.outType().isDynamicDim(axis.dim))
      axis.out = l.index(l.outType().getDimSize(axis.dim));
    else if (!byScale)
      axis.out = wanted[i];
    if (axis.knownScale) {
      axis.scale = s.constant(wide, *axis.knownScale);
    } else if (byScale) {
      Value scale = tensor::ExtractOp::create(l.b, l.loc, l.in(2),
                                              ValueRange{l.value(l.index(i))});
      axis.scale = s.cast(scale, wide, false, false);
    } else {
      axis.scale = s.div(s.fromIndex(l.value(axis.out), wide),
                         s.fromIndex(l.value(axis.in), wide));
    }
    if (!axis.out) {
      Value product = s.mul(s.fromIndex(l.value(axis.in), wide), axis.scale);
      axis.out =
          s.toIndex(s.cast(s.floor(product), l.b.getI64Type(), false, false));
    }
    if (m.crops()) {
      if (!l.has(1))
        return l.fail("tf_crop_and_resize needs roi");
      auto bound = [&](int64_t p) {
        Value v = tensor::ExtractOp::create(l.b, l.loc, l.in(1),
                                            ValueRange{l.value(l.index(p))});
        return s.cast(v, wide, false, false);
      };
      axis.start = bound(i);
      axis.end = bound(i + dims.size());
    }
    // An axis that keeps its size maps every place to itself.
    bool unchanged = axis.knownScale == 1 && l.knownEqual(axis.in, axis.out);
    if (!unchanged || m.crops())
      axes.push_back(axis);
  }
  return axes;
}

static LogicalResult lowerResize(OpLowering &l) {
  Method m;
  StringRef mode = l.getString("mode", "nearest");
  if (mode != "nearest" && mode != "linear" && mode != "cubic")
    return l.fail("mode '" + mode + "' is not one of nearest, linear, cubic");
  m.kind = mode == "nearest"  ? Method::Nearest
           : mode == "linear" ? Method::Linear
                              : Method::Cubic;
  m.coordinates = l.getString("coordinate_transformation_mode", "half_pixel");
  m.rounding = l.getString("nearest_mode", "round_prefer_floor");
  m.cubicCoefficient = l.getFloat("cubic_coeff_a", -0.75);
  m.extrapolation = l.getFloat("extrapolation_value", 0);
  m.antialias = l.getInt("antialias", 0) != 0;
  m.excludeOutside = l.getInt("exclude_outside", 0) != 0;
  auto axes = readAxes(l, m);
  if (failed(axes))
    return failure();
  SmallVector<Taps> taps;
  for (const Axis &axis : *axes) {
    auto table = makeTaps(l, m, axis);
    if (failed(table))
      return failure();
    taps.push_back(*table);
  }
  SmallVector<OpFoldResult> sizes = l.sizes(l.in(0));
  for (const Axis &axis : *axes)
    sizes[axis.dim] = axis.out;
  if (m.kind == Method::Nearest)
    return l.done(resampleNearest(l, l.in(0), *axes, taps, m, sizes));
  bool isUnsigned = l.inUnsigned(0);
  Value x = l.castElements(l.in(0), l.b.getF32Type(), isUnsigned, false);
  for (auto [axis, table] : llvm::zip_equal(*axes, taps))
    x = resampleAxis(l, x, axis, table, m);
  return l.done(l.castElements(x, l.outElem(), false, isUnsigned));
}

void addResize(LowerTable &table) { table["onnx.Resize"] = lowerResize; }

} // namespace nibble::onnx_to_linalg
