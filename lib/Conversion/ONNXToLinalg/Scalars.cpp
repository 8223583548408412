//===- Scalars.cpp - Arithmetic on one element ----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

static bool isFloat(Value x) { return isa<FloatType>(x.getType()); }

Value Scalars::constant(Type type, double value) {
  if (auto floatType = dyn_cast<FloatType>(type)) {
    APFloat converted(value);
    bool losesInfo;
    converted.convert(floatType.getFloatSemantics(),
                      APFloat::rmNearestTiesToEven, &losesInfo);
    return arith::ConstantOp::create(b, loc,
                                     b.getFloatAttr(floatType, converted));
  }
  return integer(type, static_cast<int64_t>(value));
}

Value Scalars::integer(Type type, int64_t value) {
  if (isa<FloatType>(type))
    return constant(type, static_cast<double>(value));
  if (type.isIndex())
    return arith::ConstantIndexOp::create(b, loc, value);
  unsigned width = type.getIntOrFloatBitWidth();
  APInt bits(64, static_cast<uint64_t>(value));
  return arith::ConstantOp::create(b, loc,
                                   b.getIntegerAttr(type, bits.trunc(width)));
}

Value Scalars::lowest(Type type) {
  if (isa<FloatType>(type))
    return constant(type, -std::numeric_limits<double>::infinity());
  unsigned width = type.getIntOrFloatBitWidth();
  APInt bits =
      isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width);
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, bits));
}

Value Scalars::highest(Type type) {
  if (isa<FloatType>(type))
    return constant(type, std::numeric_limits<double>::infinity());
  unsigned width = type.getIntOrFloatBitWidth();
  APInt bits =
      isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, bits));
}

Value Scalars::add(Value x, Value y) {
  if (isFloat(x))
    return arith::AddFOp::create(b, loc, x, y);
  return arith::AddIOp::create(b, loc, x, y);
}

Value Scalars::sub(Value x, Value y) {
  if (isFloat(x))
    return arith::SubFOp::create(b, loc, x, y);
  return arith::SubIOp::create(b, loc, x, y);
}

Value Scalars::mul(Value x, Value y) {
  if (isFloat(x))
    return arith::MulFOp::create(b, loc, x, y);
  return arith::MulIOp::create(b, loc, x, y);
}

Value Scalars::div(Value x, Value y) {
  if (isFloat(x))
    return arith::DivFOp::create(b, loc, x, y);
  Type type = x.getType();
  APInt known;
  if (matchPattern(y, m_ConstantInt(&known)) && !known.isZero() &&
      !known.isAllOnes())
    return isUnsigned ? Value(arith::DivUIOp::create(b, loc, x, y))
                      : Value(arith::DivSIOp::create(b, loc, x, y));
  Value zero = integer(type, 0);
  Value one = integer(type, 1);
  Value byZero = eq(y, zero);
  if (isUnsigned) {
    Value safe = select(byZero, one, y);
    return select(byZero, zero, arith::DivUIOp::create(b, loc, x, safe));
  }
  // The most negative number over -1 overflows; as a negation it wraps.
  Value byMinusOne = eq(y, integer(type, -1));
  Value special = arith::OrIOp::create(b, loc, byZero, byMinusOne);
  Value safe = select(special, one, y);
  Value quotient = arith::DivSIOp::create(b, loc, x, safe);
  quotient = select(byMinusOne, neg(x), quotient);
  return select(byZero, zero, quotient);
}

Value Scalars::max(Value x, Value y) {
  if (isFloat(x))
    return arith::MaximumFOp::create(b, loc, x, y);
  if (isUnsigned)
    return arith::MaxUIOp::create(b, loc, x, y);
  return arith::MaxSIOp::create(b, loc, x, y);
}

Value Scalars::min(Value x, Value y) {
  if (isFloat(x))
    return arith::MinimumFOp::create(b, loc, x, y);
  if (isUnsigned)
    return arith::MinUIOp::create(b, loc, x, y);
  return arith::MinSIOp::create(b, loc, x, y);
}

Value Scalars::neg(Value x) {
  if (isFloat(x))
    return arith::NegFOp::create(b, loc, x);
  return sub(integer(x.getType(), 0), x);
}

Value Scalars::abs(Value x) {
  if (isFloat(x))
    return math::AbsFOp::create(b, loc, x);
  if (isUnsigned)
    return x;
  return math::AbsIOp::create(b, loc, x);
}

Value Scalars::eq(Value x, Value y) {
  if (isFloat(x))
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, y);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, y);
}

Value Scalars::lt(Value x, Value y) {
  if (isFloat(x))
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, y);
  return arith::CmpIOp::create(
      b, loc,
      isUnsigned ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt, x, y);
}

Value Scalars::le(Value x, Value y) {
  if (isFloat(x))
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLE, x, y);
  return arith::CmpIOp::create(
      b, loc,
      isUnsigned ? arith::CmpIPredicate::ule : arith::CmpIPredicate::sle, x, y);
}

Value Scalars::logicalNot(Value x) {
  return arith::XOrIOp::create(b, loc, x, integer(x.getType(), -1));
}

Value Scalars::select(Value cond, Value x, Value y) {
  return arith::SelectOp::create(b, loc, cond, x, y);
}

Value Scalars::sigmoid(Value x) {
  Value one = constant(x.getType(), 1);
  return div(one, add(one, exp(neg(x))));
}

Value Scalars::softplus(Value x) {
  Value positive = max(x, constant(x.getType(), 0));
  Value tail = math::Log1pOp::create(b, loc, exp(neg(abs(x))));
  return add(positive, tail);
}

//===----------------------------------------------------------------------===//
// Conversion
//===----------------------------------------------------------------------===//

/// What x86's conversion to a signed integer does: a value that does not fit
/// (or NaN) becomes the most negative integer. `arith.fptosi` alone leaves
/// such values undefined.
static Value floatToSigned(Scalars &s, Value x, Type to) {
  unsigned width = to.getIntOrFloatBitWidth();
  double limit = std::ldexp(1.0, width - 1);
  Value low = s.constant(x.getType(), -limit);
  Value high = s.constant(x.getType(), limit);
  Value fits = arith::AndIOp::create(s.b, s.loc, s.le(low, x), s.lt(x, high));
  Value safe = s.select(fits, x, s.constant(x.getType(), 0));
  Value converted = arith::FPToSIOp::create(s.b, s.loc, to, safe);
  Value lowest = arith::ConstantOp::create(
      s.b, s.loc, s.b.getIntegerAttr(to, APInt::getSignedMinValue(width)));
  return s.select(fits, converted, lowest);
}

static Value floatToInteger(Scalars &s, Value x, Type to, bool toUnsigned) {
  unsigned width = to.getIntOrFloatBitWidth();
  if (width == 1)
    return arith::CmpFOp::create(s.b, s.loc, arith::CmpFPredicate::UNE, x,
                                 s.constant(x.getType(), 0));
  if (!x.getType().isF64() && !x.getType().isF32())
    x = arith::ExtFOp::create(s.b, s.loc, s.b.getF32Type(), x);
  if (width == 64 && toUnsigned) {
    // Above 2^63 the signed conversion is made on what exceeds it.
    Value half = s.constant(x.getType(), std::ldexp(1.0, 63));
    Value large = s.le(half, x);
    Value reduced = s.select(large, s.sub(x, half), x);
    Value converted = floatToSigned(s, reduced, to);
    Value top = s.integer(to, std::numeric_limits<int64_t>::min());
    return s.select(large, arith::XOrIOp::create(s.b, s.loc, converted, top),
                    converted);
  }
  // Narrow integers are cut out of the 32-bit conversion.
  Type wide = width == 64 || (width == 32 && toUnsigned) ? s.b.getI64Type()
                                                         : s.b.getI32Type();
  Value converted = floatToSigned(s, x, wide);
  if (wide == to)
    return converted;
  return arith::TruncIOp::create(s.b, s.loc, to, converted);
}

Value Scalars::cast(Value x, Type to, bool fromUnsigned, bool toUnsigned) {
  Type from = x.getType();
  if (from == to)
    return x;
  if (auto toFloat = dyn_cast<FloatType>(to)) {
    if (auto fromFloat = dyn_cast<FloatType>(from)) {
      if (fromFloat.getWidth() < toFloat.getWidth())
        return arith::ExtFOp::create(b, loc, to, x);
      if (fromFloat.getWidth() > toFloat.getWidth())
        return arith::TruncFOp::create(b, loc, to, x);
      // f16 and bf16 meet in f32.
      Value wide = arith::ExtFOp::create(b, loc, b.getF32Type(), x);
      return arith::TruncFOp::create(b, loc, to, wide);
    }
    // A 16-bit float is rounded once, from f32 that holds any 16-bit integer;
    // wider integers go through f64.
    unsigned width = from.getIntOrFloatBitWidth();
    Type through = toFloat.getWidth() >= 32 ? to
                   : width > 16             ? Type(b.getF64Type())
                                            : Type(b.getF32Type());
    Value converted = fromUnsigned || width == 1
                          ? Value(arith::UIToFPOp::create(b, loc, through, x))
                          : Value(arith::SIToFPOp::create(b, loc, through, x));
    return through == to
               ? converted
               : Value(arith::TruncFOp::create(b, loc, to, converted));
  }
  if (isa<FloatType>(from))
    return floatToInteger(*this, x, to, toUnsigned);
  if (from.isIndex() || to.isIndex())
    return arith::IndexCastOp::create(b, loc, to, x);
  unsigned fromWidth = from.getIntOrFloatBitWidth();
  unsigned toWidth = to.getIntOrFloatBitWidth();
  if (toWidth == 1)
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, x,
                                 integer(from, 0));
  if (toWidth < fromWidth)
    return arith::TruncIOp::create(b, loc, to, x);
  if (toWidth == fromWidth)
    return x;
  if (fromUnsigned || fromWidth == 1)
    return arith::ExtUIOp::create(b, loc, to, x);
  return arith::ExtSIOp::create(b, loc, to, x);
}

Value Scalars::toIndex(Value x) {
  if (x.getType().isIndex())
    return x;
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), x);
}

Value Scalars::fromIndex(Value x, Type to) {
  if (isa<FloatType>(to)) {
    Value integer = arith::IndexCastOp::create(b, loc, b.getI64Type(), x);
    return arith::SIToFPOp::create(b, loc, to, integer);
  }
  return arith::IndexCastOp::create(b, loc, to, x);
}

} // namespace nibble::onnx_to_linalg
