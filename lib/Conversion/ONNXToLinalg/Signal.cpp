//===- Signal.cpp - Windows, Fourier transforms, mel weights --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include <cmath>

using namespace mlir;

namespace nibble::onnx_to_linalg {

static constexpr double pi = 3.14159265358979323846;

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

/// c0 + c1 cos(a) + c2 cos(2a).
static LogicalResult lowerWindow(OpLowering &l, double c0, double c1,
                                 double c2) {
  bool periodic = l.getInt("periodic", 1) != 0;
  Type elem = l.outElem();
  bool isUnsigned = l.outUnsigned();
  Type type = elem.isF64() ? elem : Type(l.b.getF32Type());
  OpFoldResult size = l.indexElements(l.in(0))[0];
  Scalars outer = l.scalars();
  outer.isUnsigned = false;
  Value zero = l.value(l.index(0));
  l.require(outer.le(zero, l.value(size)), "size is negative");
  OpFoldResult period = periodic ? size : l.sub(size, l.index(1));
  Value length = outer.fromIndex(l.value(l.max(period, l.index(1))), type);
  return l.done(l.generate(size, elem, [&](Scalars &s, ValueRange at) {
    auto c = [&](double value) { return s.constant(type, value); };
    Value angle = s.div(s.mul(c(2 * pi), s.fromIndex(at[0], type)), length);
    auto cosine = [&](double factor, Value a) -> Value {
      return s.mul(c(factor), math::CosOp::create(s.b, s.loc, a));
    };
    Value sum = s.add(c(c0), cosine(c1, angle));
    if (c2 != 0)
      sum = s.add(sum, cosine(c2, s.mul(c(2), angle)));
    return s.cast(sum, elem, false, isUnsigned);
  }));
}

static LogicalResult lowerHann(OpLowering &l) {
  return lowerWindow(l, 0.5, -0.5, 0);
}
static LogicalResult lowerHamming(OpLowering &l) {
  return lowerWindow(l, 25.0 / 46, -21.0 / 46, 0);
}
static LogicalResult lowerBlackman(OpLowering &l) {
  return lowerWindow(l, 0.42, -0.5, 0.08);
}

//===----------------------------------------------------------------------===//
// Fourier transforms
//===----------------------------------------------------------------------===//

namespace {
/// A transform of `length` elements as a product with a matrix: rows are
/// (element, part), columns (frequency, part), where the parts are those of a
/// complex number.
struct Transform {
  OpFoldResult length, rows, columns;
  int64_t inParts = 1, outParts = 2;
  bool inverse = false;
  /// The rows are one half of a spectrum that is symmetric.
  bool fromHalf = false;

  double factor(double re, double im, int64_t from, int64_t to) const {
    // (x + iy) e^(-+ i angle), with re and im the cosine and sine.
    double sign = inverse ? -1 : 1;
    if (from == to)
      return re;
    return from == 0 ? -sign * im : sign * im;
  }
};
} // namespace

/// The matrix computed by the compiler, if its size is known.
static Value makeKnownMatrix(OpLowering &l, const Transform &t, int64_t n,
                             int64_t rows, int64_t columns) {
  auto matrix = RankedTensorType::get({rows * t.inParts, columns * t.outParts},
                                      l.b.getF64Type());
  FailureOr<ElementsAttr> value =
      createBlobAttr(l.loc, matrix, "dft", [&](MutableArrayRef<char> out) {
        char *to = out.data();
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t p = 0; p < t.inParts; ++p)
            for (int64_t k = 0; k < columns; ++k)
              for (int64_t q = 0; q < t.outParts; ++q) {
                double angle = 2 * pi * ((i * k) % n) / n;
                double entry = t.factor(std::cos(angle), std::sin(angle), p, q);
                if (t.inverse)
                  entry /= n;
                if (t.fromHalf && i != 0 && 2 * i != n)
                  entry *= 2;
                std::memcpy(to, &entry, sizeof(entry));
                to += sizeof(entry);
              }
      });
  if (failed(value))
    return {};
  return nibble::ConstantOp::create(l.b, l.loc, *value);
}

static Value makeMatrix(OpLowering &l, const Transform &t, Type type) {
  auto n = getConstantIntValue(t.length), rows = getConstantIntValue(t.rows),
       columns = getConstantIntValue(t.columns);
  constexpr int64_t maxElements = 1 << 24;
  if (n && rows && columns && *n > 0 && *rows * *columns <= maxElements)
    if (Value matrix = makeKnownMatrix(l, t, *n, *rows, *columns))
      return matrix;
  Value length = l.value(l.max(t.length, l.index(1)));
  Value period = l.scalars().fromIndex(length, type);
  SmallVector<OpFoldResult> sizes{t.rows, l.index(t.inParts), t.columns,
                                  l.index(t.outParts)};
  Value matrix = l.generate(sizes, type, [&](Scalars &s, ValueRange at) {
    Value turns =
        arith::RemUIOp::create(s.b, s.loc, s.mul(at[0], at[2]), length);
    Value angle = s.div(
        s.mul(s.constant(type, 2 * pi), s.fromIndex(turns, type)), period);
    Value re = math::CosOp::create(s.b, s.loc, angle);
    Value im = math::SinOp::create(s.b, s.loc, angle);
    if (t.inverse)
      im = s.neg(im);
    Value entry = s.select(s.eq(at[1], at[3]), re,
                           s.select(s.lt(at[1], at[3]), s.neg(im), im));
    if (t.inverse)
      entry = s.div(entry, period);
    if (t.fromHalf) {
      Value zero = s.integer(s.b.getIndexType(), 0);
      Value once = arith::OrIOp::create(s.b, s.loc, s.eq(at[0], zero),
                                        s.eq(s.add(at[0], at[0]), length));
      entry = s.select(once, entry, s.mul(s.constant(type, 2), entry));
    }
    return entry;
  });
  return l.reshape(matrix, {l.mul(t.rows, l.index(t.inParts)),
                            l.mul(t.columns, l.index(t.outParts))});
}

/// [..., rows, parts] to [..., columns, parts]. Computed in f64: the product of
/// a matrix cancels more than a fast transform would.
static Value applyTransform(OpLowering &l, Value x, const Transform &t,
                            Type elem) {
  Type compute = l.b.getF64Type();
  SmallVector<OpFoldResult> sizes = l.sizes(x);
  OpFoldResult parts = sizes.pop_back_val();
  sizes.back() = l.mul(sizes.back(), parts);
  Value flat = l.reshape(l.castElements(x, compute), sizes);
  Value y = matmulBroadcast(l, flat, makeMatrix(l, t, compute), compute);
  sizes.back() = t.columns;
  sizes.push_back(l.index(t.outParts));
  return l.castElements(l.reshape(y, sizes), elem);
}

/// n / 2 + 1.
static OpFoldResult halfOf(OpLowering &l, OpFoldResult n) {
  return l.add(l.floorDiv(n, l.index(2)), l.index(1));
}

static LogicalResult lowerDFT(OpLowering &l) {
  Value x = l.in(0);
  int64_t rank = l.inRank(0), axis = rank - 2;
  if (l.has(2)) {
    auto given = l.constInts(2);
    if (!given)
      return l.fail("axis must be constant");
    axis = given->front() < 0 ? given->front() + rank : given->front();
  }
  bool onesided = l.getInt("onesided", 0) != 0;
  Transform t;
  t.inverse = l.getInt("inverse", 0) != 0;
  t.fromHalf = t.inverse && onesided;
  t.inParts = l.inType(0).getDimSize(rank - 1);
  if (t.inParts != 1 && t.inParts != 2)
    return l.fail("the last dimension of the input must be known to be 1 or 2");
  OpFoldResult given = l.size(x, axis);
  if (l.has(1)) {
    t.length = l.indexElements(l.in(1))[0];
    l.require(l.scalars().lt(l.value(l.index(0)), l.value(t.length)),
              "dft_length must be at least 1");
  } else {
    t.length = t.fromHalf ? l.mul(l.sub(given, l.index(1)), l.index(2)) : given;
  }
  t.rows = t.fromHalf ? halfOf(l, t.length) : t.length;
  t.columns = onesided && !t.inverse ? halfOf(l, t.length) : t.length;
  t.outParts = t.fromHalf ? 1 : 2;
  // The axis comes before the parts; its length becomes that of the transform.
  SmallVector<int64_t> perm, back(rank);
  for (int64_t d = 0; d < rank - 1; ++d)
    if (d != axis)
      perm.push_back(d);
  perm.append({axis, rank - 1});
  for (auto [to, from] : llvm::enumerate(perm))
    back[from] = to;
  x = l.transpose(x, perm);
  if (!l.knownEqual(given, t.rows)) {
    SmallVector<OpFoldResult> low(rank, l.index(0)), high(rank, l.index(0));
    high[rank - 2] = l.sub(t.rows, given);
    x = l.pad(x, low, high, l.scalars().constant(l.inElem(0), 0));
  }
  return l.done(l.transpose(applyTransform(l, x, t, l.outElem()), back));
}

static LogicalResult lowerSTFT(OpLowering &l) {
  Value x = l.in(0);
  if (l.inRank(0) == 2)
    x = l.unsqueeze(x, 2);
  Transform t;
  t.inParts = cast<RankedTensorType>(x.getType()).getDimSize(2);
  if (t.inParts != 1 && t.inParts != 2)
    return l.fail("the last dimension of the signal must be known to be 1 or "
                  "2");
  OpFoldResult step = l.indexElements(l.in(1))[0], total = l.size(x, 1);
  t.length = l.has(3)   ? l.indexElements(l.in(3))[0]
             : l.has(2) ? l.size(l.in(2), 0)
                        : total;
  if (l.has(2))
    l.requireEqual(l.size(l.in(2), 0), t.length,
                   "the window is not as long as a frame");
  Scalars outer = l.scalars();
  Value zero = l.value(l.index(0));
  l.require(outer.lt(zero, l.value(step)), "frame_step must be at least 1");
  l.require(outer.lt(zero, l.value(t.length)),
            "frame_length must be at least 1");
  l.require(outer.le(l.value(t.length), l.value(total)),
            "a frame is longer than the signal");
  OpFoldResult frames =
      l.add(l.floorDiv(l.sub(total, t.length), step), l.index(1));
  t.rows = t.length;
  t.columns = l.getInt("onesided", 1) != 0 ? halfOf(l, t.length) : t.length;
  Type compute = computeType(l.outElem());
  SmallVector<OpFoldResult> sizes{l.size(x, 0), frames, t.length,
                                  l.index(t.inParts)};
  Value stepValue = l.value(step);
  Value framed = l.generate(sizes, compute, [&](Scalars &s, ValueRange at) {
    Value from = s.add(s.mul(at[1], stepValue), at[2]);
    Value element = OpLowering::at(s, x, {at[0], from, at[3]});
    element = s.cast(element, compute, false, false);
    if (!l.has(2))
      return element;
    Value weight = OpLowering::at(s, l.in(2), at[2]);
    return s.mul(element, s.cast(weight, compute, false, false));
  });
  return l.done(applyTransform(l, framed, t, l.outElem()));
}

//===----------------------------------------------------------------------===//
// Mel weights
//===----------------------------------------------------------------------===//

static LogicalResult lowerMelWeightMatrix(OpLowering &l) {
  Type f64 = l.b.getF64Type(), i64 = l.b.getI64Type(), elem = l.outElem();
  Scalars outer = l.scalars();
  OpFoldResult bands = l.indexElements(l.in(0))[0];
  OpFoldResult length = l.indexElements(l.in(1))[0];
  auto scalar = [&](unsigned i) {
    return outer.cast(l.scalarOf(l.in(i)), f64, false, false);
  };
  auto mel = [&](Value hertz) -> Value {
    Value x = outer.add(outer.constant(f64, 1),
                        outer.div(hertz, outer.constant(f64, 700)));
    return outer.mul(outer.constant(f64, 2595),
                     math::Log10Op::create(l.b, l.loc, x));
  };
  Value rate = scalar(2), low = mel(scalar(3)), high = mel(scalar(4));
  OpFoldResult edges = l.add(bands, l.index(2));
  Value step =
      outer.div(outer.sub(high, low), outer.fromIndex(l.value(edges), f64));
  Value perHertz =
      outer.div(outer.fromIndex(l.value(l.add(length, l.index(1))), f64), rate);
  // The spectrum's entries at which the bands begin.
  Value starts = l.generate(edges, i64, [&](Scalars &s, ValueRange at) {
    auto c = [&](double value) { return s.constant(f64, value); };
    Value m = s.add(s.mul(s.fromIndex(at[0], f64), step), low);
    Value power = math::PowFOp::create(s.b, s.loc, c(10), s.div(m, c(2595)));
    Value hertz = s.mul(c(700), s.sub(power, c(1)));
    return s.cast(s.floor(s.mul(hertz, perHertz)), i64, false, false);
  });
  bool isUnsigned = l.outUnsigned();
  return l.done(l.generate(
      {halfOf(l, length), bands}, elem, [&](Scalars &s, ValueRange at) {
        auto edge = [&](int64_t i) {
          Value where = s.add(at[1], s.integer(at[1].getType(), i));
          return OpLowering::at(s, starts, where);
        };
        Value j = s.fromIndex(at[0], i64), begin = edge(0), peak = edge(1),
              end = edge(2);
        auto f = [&](Value v) { return s.cast(v, f64, false, false); };
        Value zero = s.constant(f64, 0), one = s.constant(f64, 1);
        Value rise = s.sub(peak, begin), fall = s.sub(end, peak);
        Value up = s.div(f(s.sub(j, begin)), s.max(f(rise), one));
        Value down = s.div(f(s.sub(end, j)), s.max(f(fall), one));
        Value rising =
            arith::AndIOp::create(s.b, s.loc, s.le(begin, j), s.le(j, peak));
        Value falling =
            arith::AndIOp::create(s.b, s.loc, s.le(peak, j), s.lt(j, end));
        Value atPeak = s.eq(j, peak);
        Value value = s.select(rising, up, zero);
        value = s.select(falling, down, value);
        Value steep = arith::AndIOp::create(s.b, s.loc, atPeak,
                                            s.eq(rise, s.integer(i64, 0)));
        return s.cast(s.select(steep, one, value), elem, false, isUnsigned);
      }));
}

void addSignal(LowerTable &table) {
  table["onnx.HannWindow"] = lowerHann;
  table["onnx.HammingWindow"] = lowerHamming;
  table["onnx.BlackmanWindow"] = lowerBlackman;
  table["onnx.DFT"] = lowerDFT;
  table["onnx.STFT"] = lowerSTFT;
  table["onnx.MelWeightMatrix"] = lowerMelWeightMatrix;
}

} // namespace nibble::onnx_to_linalg
