//===- Casts.cpp - Conversion of element types ----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Integers of 2 and 4 bits and floats of 4, 6 and 8 bits are codes to compiled
// code: one byte an element, the code in its low bits. Operators that move
// elements see bytes; those that compute decode and encode here, in a few
// integer instructions that vectorise. Formats: "OCP 8-bit Floating Point
// Specification" 1.0, "OCP Microscaling Formats" 1.0, and for the `fnuz` types
// Noune et al., "8-bit Numerical Formats for Deep Neural Networks", 2022.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

bool isCoded(Type elem) {
  if (auto integer = dyn_cast<IntegerType>(elem))
    return integer.getWidth() > 1 && integer.getWidth() < 8;
  auto real = dyn_cast<FloatType>(elem);
  return real && real.getWidth() <= 8;
}

namespace {
/// Integer instructions on the bits of floats.
struct Bits {
  Scalars &s;

  Value constant(int64_t value) { return s.integer(s.b.getI32Type(), value); }
  Value real(double value) { return s.constant(s.b.getF32Type(), value); }
  Value toFloat(Value bits) {
    return arith::BitcastOp::create(s.b, s.loc, s.b.getF32Type(), bits);
  }
  Value ofFloat(Value x) {
    return arith::BitcastOp::create(s.b, s.loc, s.b.getI32Type(), x);
  }
  Value operator()(Value x, int64_t mask) {
    return arith::AndIOp::create(s.b, s.loc, x, constant(mask));
  }
  Value either(Value x, Value y) {
    return arith::OrIOp::create(s.b, s.loc, x, y);
  }
  Value shiftLeft(Value x, unsigned n) {
    return n ? arith::ShLIOp::create(s.b, s.loc, x, constant(n)) : x;
  }
  Value shiftRight(Value x, unsigned n) {
    return arith::ShRUIOp::create(s.b, s.loc, x, constant(n));
  }
  Value compare(arith::CmpIPredicate predicate, Value x, int64_t y) {
    return arith::CmpIOp::create(s.b, s.loc, predicate, x, constant(y));
  }
};

/// A sign, an exponent with a bias, and a fraction.
struct Format {
  unsigned width, fraction;
  int bias;
  /// The code of the largest finite magnitude; larger ones are special.
  int largest;
  /// The codes of infinity and NaN; without infinity both are the same, -1
  /// where there is no NaN either.
  int infinity, nan;
  /// One NaN, at the place of a negative zero.
  bool unsignedZero;

  static Format get(Type type) {
    if (isa<Float8E4M3FNType>(type))
      return {8, 3, 7, 0x7e, 0x7f, 0x7f, false};
    if (isa<Float8E4M3FNUZType>(type))
      return {8, 3, 8, 0x7f, 0x80, 0x80, true};
    if (isa<Float8E5M2Type>(type))
      return {8, 2, 15, 0x7b, 0x7c, 0x7e, false};
    if (isa<Float8E5M2FNUZType>(type))
      return {8, 2, 16, 0x7f, 0x80, 0x80, true};
    if (isa<Float4E2M1FNType>(type))
      return {4, 1, 1, 0x7, -1, -1, false};
    if (isa<Float6E2M3FNType>(type))
      return {6, 3, 1, 0x1f, -1, -1, false};
    assert(isa<Float6E3M2FNType>(type) && "not a narrow float");
    return {6, 2, 3, 0x1f, -1, -1, false};
  }
};
} // namespace

/// A power of two without a sign; its code is the biased exponent of f32.
static Value decodeExponent(Scalars &s, Value code) {
  using Predicate = arith::CmpIPredicate;
  Bits bits{s};
  // The smallest, 2^-127, is below the normal numbers of f32.
  Value isSmallest = bits.compare(Predicate::eq, code, 0);
  Value isNaN = bits.compare(Predicate::eq, code, 0xff);
  Value value =
      s.select(isSmallest, bits.constant(0x400000), bits.shiftLeft(code, 23));
  return bits.toFloat(s.select(isNaN, bits.constant(0x7fc00000), value));
}

static Value decodeFloat(Scalars &s, Value code, Type type) {
  using Predicate = arith::CmpIPredicate;
  Bits bits{s};
  if (isa<Float8E8M0FNUType>(type))
    return decodeExponent(s, code);
  Format f = Format::get(type);
  int64_t signBit = int64_t(1) << (f.width - 1);
  Value sign = bits.shiftLeft(bits(code, signBit), 32 - f.width);
  Value magnitude = bits(code, signBit - 1);
  // A subnormal number is its fraction times a power of two.
  Value isSubnormal =
      bits.compare(Predicate::slt, magnitude, int64_t(1) << f.fraction);
  Value small =
      arith::SIToFPOp::create(s.b, s.loc, s.b.getF32Type(), magnitude);
  small =
      s.mul(small, bits.real(std::ldexp(1.0, 1 - f.bias - int(f.fraction))));
  Value normal = s.add(bits.shiftLeft(magnitude, 23 - f.fraction),
                       bits.constant(int64_t(127 - f.bias) << 23));
  Value value = s.select(isSubnormal, bits.ofFloat(small), normal);
  constexpr int64_t kNaN = 0x7fc00000, kInfinity = 0x7f800000;
  if (f.unsignedZero)
    value = s.select(bits.compare(Predicate::eq, code, f.nan),
                     bits.constant(kNaN), value);
  else if (f.nan >= 0)
    value = s.select(bits.compare(Predicate::sgt, magnitude, f.infinity),
                     bits.constant(kNaN), value);
  if (f.nan >= 0 && !f.unsignedZero)
    value =
        s.select(bits.compare(Predicate::eq, magnitude, f.infinity),
                 bits.constant(f.infinity == f.nan ? kNaN : kInfinity), value);
  return bits.toFloat(bits.either(value, sign));
}

Value decode(Scalars &s, Value code, Type type) {
  if (auto integer = dyn_cast<IntegerType>(type)) {
    // Whatever the bits above are, as a caller of the model may set them.
    Type narrow = s.b.getIntegerType(integer.getWidth());
    Value low = arith::TruncIOp::create(s.b, s.loc, narrow, code);
    return integer.isUnsigned()
               ? Value(arith::ExtUIOp::create(s.b, s.loc, code.getType(), low))
               : Value(arith::ExtSIOp::create(s.b, s.loc, code.getType(), low));
  }
  Value wide = arith::ExtUIOp::create(s.b, s.loc, s.b.getI32Type(), code);
  if (type.getIntOrFloatBitWidth() < 8)
    wide = Bits{s}(wide, (1 << type.getIntOrFloatBitWidth()) - 1);
  return decodeFloat(s, wide, type);
}

/// The power of two of a magnitude, rounded as `mode` says.
static Value encodeExponent(Scalars &s, Value x, bool saturate,
                            StringRef mode) {
  using Predicate = arith::CmpIPredicate;
  Bits bits{s};
  Value magnitude = bits(bits.ofFloat(x), 0x7fffffff);
  Value exponent = bits.shiftRight(magnitude, 23);
  Value fraction = bits(magnitude, 0x7fffff);
  // Below 2^-126 the leading one is explicit; below 2^-127 is the smallest
  // code.
  Value isSubnormal = bits.compare(Predicate::eq, exponent, 0);
  Value above = bits.shiftLeft(s.sub(fraction, bits.constant(0x400000)), 1);
  above = arith::MaxSIOp::create(s.b, s.loc, above, bits.constant(0));
  fraction = s.select(isSubnormal, above, fraction);
  Value code = exponent;
  if (mode != "down") {
    // Halfway counts as nearer to the larger power: its fraction is even.
    Value up = bits.compare(Predicate::sge, fraction,
                            mode == "nearest" ? 0x400000 : 1);
    code =
        s.add(code, arith::ExtUIOp::create(s.b, s.loc, s.b.getI32Type(), up));
  }
  if (saturate) {
    code = arith::MinSIOp::create(s.b, s.loc, code, bits.constant(0xfe));
  } else {
    code = arith::MinSIOp::create(s.b, s.loc, code, bits.constant(0xff));
    code = s.select(bits.compare(Predicate::slt, magnitude, 0x400000),
                    bits.constant(0xff), code);
  }
  Value isNaN = bits.compare(Predicate::sgt, magnitude, 0x7f800000);
  return s.select(isNaN, bits.constant(0xff), code);
}

/// Rounds to the nearest, ties to even, and saturates or overflows.
static Value encodeFloat(Scalars &s, Value x, Type type, bool saturate,
                         StringRef mode) {
  using Predicate = arith::CmpIPredicate;
  Bits bits{s};
  if (isa<Float8E8M0FNUType>(type))
    return encodeExponent(s, x, saturate, mode);
  Format f = Format::get(type);
  Value all = bits.ofFloat(x);
  Value magnitude = bits(all, 0x7fffffff);
  Value sign = bits.shiftRight(bits(all, int64_t(1) << 31), 32 - f.width);
  // A normal number: add just less than half of the last place, and one more
  // if the last place is odd; a carry raises the exponent as it should.
  unsigned drop = 23 - f.fraction;
  Value odd = bits(bits.shiftRight(magnitude, drop), 1);
  Value rounded = s.add(s.add(magnitude, odd),
                        bits.constant((int64_t(1) << (drop - 1)) - 1));
  Value code = s.sub(bits.shiftRight(rounded, drop),
                     bits.constant(int64_t(127 - f.bias) << f.fraction));
  // A subnormal one: added to a number whose last place is the smallest
  // subnormal, the sum is rounded to it.
  double large = std::ldexp(1.0, 24 - f.bias - int(f.fraction));
  Value sum = bits.ofFloat(s.add(bits.toFloat(magnitude), bits.real(large)));
  Value subnormal = s.sub(sum, bits.ofFloat(bits.real(large)));
  Value isSubnormal =
      bits.compare(Predicate::slt, magnitude, int64_t(128 - f.bias) << 23);
  code = s.select(isSubnormal, subnormal, code);

  if (saturate || f.nan < 0)
    code = arith::MinSIOp::create(s.b, s.loc, code, bits.constant(f.largest));
  else
    code = s.select(bits.compare(Predicate::sgt, code, f.largest),
                    bits.constant(f.infinity), code);
  if (f.unsignedZero) {
    Value noSign =
        s.select(bits.compare(Predicate::eq, code, 0), bits.constant(0), sign);
    code = bits.either(code, noSign);
  } else {
    code = bits.either(code, sign);
  }
  Value isNaN = bits.compare(Predicate::sgt, magnitude, 0x7f800000);
  // Without a NaN there is nothing right; zero does the least harm.
  Value nan = f.nan < 0        ? bits.constant(0)
              : f.unsignedZero ? bits.constant(f.nan)
                               : bits.either(bits.constant(f.nan), sign);
  return s.select(isNaN, nan, code);
}

/// f64 to f32 so that rounding again gives what rounding once would: inexact
/// results get an odd last bit. Source: Boldo, Melquiond, "Emulation of FMA and
/// correctly rounded sums: proved algorithms using rounding to odd", 2008.
static Value roundToOdd(Scalars &s, Value x) {
  using Predicate = arith::CmpFPredicate;
  Bits bits{s};
  Value near = arith::TruncFOp::create(s.b, s.loc, s.b.getF32Type(), x);
  Value back = arith::ExtFOp::create(s.b, s.loc, x.getType(), near);
  Value inexact = arith::CmpFOp::create(s.b, s.loc, Predicate::ONE, back, x);
  Value away =
      arith::CmpFOp::create(s.b, s.loc, Predicate::OGT, s.abs(back), s.abs(x));
  Value pattern = bits.ofFloat(near);
  Value towardZero = s.select(away, s.sub(pattern, bits.constant(1)), pattern);
  Value odd = bits.either(towardZero, bits.constant(1));
  return bits.toFloat(s.select(inexact, odd, pattern));
}

Value encode(Scalars &s, Value x, Type type, bool saturate, StringRef mode) {
  Type byte = s.b.getI8Type();
  if (auto integer = dyn_cast<IntegerType>(type)) {
    Value wide = s.cast(x, byte, s.isUnsigned, false);
    return arith::AndIOp::create(
        s.b, s.loc, wide,
        s.integer(byte, (int64_t(1) << integer.getWidth()) - 1));
  }
  if (!isa<FloatType>(x.getType()) && x.getType().getIntOrFloatBitWidth() > 16)
    x = s.cast(x, s.b.getF64Type(), s.isUnsigned, false);
  x = x.getType().isF64() ? roundToOdd(s, x)
                          : s.cast(x, s.b.getF32Type(), s.isUnsigned, false);
  return arith::TruncIOp::create(s.b, s.loc, byte,
                                 encodeFloat(s, x, type, saturate, mode));
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

static LogicalResult lowerCast(OpLowering &l) {
  Type from = l.inONNXElem(0);
  Type to = l.outONNXElem();
  if (from == to)
    return l.done(l.in(0));
  bool fromUnsigned = l.inUnsigned(0), toUnsigned = l.outUnsigned();
  if (!isCoded(from) && !isCoded(to))
    return l.done(
        l.castElements(l.in(0), l.outElem(), fromUnsigned, toUnsigned));
  bool saturate = l.getInt("saturate", 1) != 0;
  StringRef mode = l.getString("round_mode", "up");
  if (mode != "up" && mode != "down" && mode != "nearest")
    return l.fail("round_mode is '" + mode +
                  "', expected 'up', 'down' or 'nearest'");
  return l.done(l.map(
      l.in(0), l.outElem(),
      [&](Scalars &s, ValueRange v) {
        Value x = isCoded(from) ? decode(s, v[0], from) : v[0];
        if (isCoded(to))
          return encode(s, x, to, saturate, mode);
        return s.cast(x, l.outElem(), fromUnsigned, toUnsigned);
      },
      fromUnsigned));
}

/// The same bits as another type of the same width.
static LogicalResult lowerBitCast(OpLowering &l) {
  Type from = l.inONNXElem(0), to = l.outONNXElem();
  if (l.inElem(0) == l.outElem())
    return l.done(l.in(0));
  if (from.isInteger(1) || to.isInteger(1))
    return l.done(l.castElements(l.in(0), l.outElem(), true, true));
  return l.done(l.convert(l.in(0), l.outElem(), [&](Scalars &s, ValueRange v) {
    return arith::BitcastOp::create(s.b, s.loc, l.outElem(), v[0]).getResult();
  }));
}

void addCasts(LowerTable &table) {
  table["onnx.Cast"] = lowerCast;
  table["onnx.CastLike"] = lowerCast;
  table["onnx.BitCast"] = lowerBitCast;
}

} // namespace nibble::onnx_to_linalg
