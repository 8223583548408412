//===- Elementwise.cpp - Arithmetic, comparison, logic, casts
//-----------------===//
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
// One operand
//===----------------------------------------------------------------------===//

template <typename FloatOp>
static LogicalResult lowerFloatUnary(OpLowering &l) {
  return l.done(l.map(l.in(0), l.outElem(), [](Scalars &s, ValueRange v) {
    return FloatOp::create(s.b, s.loc, v[0]).getResult();
  }));
}

template <Value (Scalars::*fn)(Value)>
static LogicalResult lowerUnary(OpLowering &l) {
  return l.done(l.map(
      l.in(0), l.outElem(),
      [](Scalars &s, ValueRange v) { return (s.*fn)(v[0]); }, l.inUnsigned(0)));
}

static LogicalResult lowerReciprocal(OpLowering &l) {
  return l.done(l.map(l.in(0), l.outElem(), [](Scalars &s, ValueRange v) {
    return s.div(s.constant(v[0].getType(), 1), v[0]);
  }));
}

static LogicalResult lowerSign(OpLowering &l) {
  return l.done(l.map(
      l.in(0), l.outElem(),
      [](Scalars &s, ValueRange v) {
        Type type = v[0].getType();
        Value zero = s.constant(type, 0);
        Value positive = s.select(s.lt(zero, v[0]), s.constant(type, 1), zero);
        // Zero keeps its sign and NaN stays NaN where nothing else applies.
        if (isa<FloatType>(type))
          positive = s.select(s.lt(zero, v[0]), s.constant(type, 1), v[0]);
        if (s.isUnsigned)
          return positive;
        return s.select(s.lt(v[0], zero), s.constant(type, -1), positive);
      },
      l.inUnsigned(0)));
}

static LogicalResult lowerIsInf(OpLowering &l) {
  bool positive = l.getInt("detect_positive", 1) != 0;
  bool negative = l.getInt("detect_negative", 1) != 0;
  return l.done(l.map(l.in(0), l.outElem(), [&](Scalars &s, ValueRange v) {
    Value result = s.integer(s.b.getI1Type(), 0);
    if (positive)
      result = s.eq(v[0], s.highest(v[0].getType()));
    if (negative)
      result = arith::OrIOp::create(s.b, s.loc, result,
                                    s.eq(v[0], s.lowest(v[0].getType())));
    return result;
  }));
}

static LogicalResult lowerIdentity(OpLowering &l) { return l.done(l.in(0)); }

//===----------------------------------------------------------------------===//
// Two operands
//===----------------------------------------------------------------------===//

template <Value (Scalars::*fn)(Value, Value)>
static LogicalResult lowerBinary(OpLowering &l) {
  return l.done(l.map(
      {l.in(0), l.in(1)}, l.outElem(),
      [](Scalars &s, ValueRange v) { return (s.*fn)(v[0], v[1]); },
      l.inUnsigned(0)));
}

template <Value (Scalars::*fn)(Value, Value)>
static LogicalResult lowerSwapped(OpLowering &l) {
  return l.done(l.map(
      {l.in(0), l.in(1)}, l.outElem(),
      [](Scalars &s, ValueRange v) { return (s.*fn)(v[1], v[0]); },
      l.inUnsigned(0)));
}

template <typename IntegerOp>
static LogicalResult lowerBitwise(OpLowering &l) {
  return l.done(
      l.map({l.in(0), l.in(1)}, l.outElem(), [](Scalars &s, ValueRange v) {
        return IntegerOp::create(s.b, s.loc, v[0], v[1]).getResult();
      }));
}

static LogicalResult lowerBitShift(OpLowering &l) {
  bool left = l.getString("direction", "LEFT") == "LEFT";
  return l.done(
      l.map({l.in(0), l.in(1)}, l.outElem(), [&](Scalars &s, ValueRange v) {
        Type type = v[0].getType();
        // A shift by the width or more leaves no bit; in LLVM it is poison.
        Value width = s.integer(type, type.getIntOrFloatBitWidth());
        Value fits = arith::CmpIOp::create(
            s.b, s.loc, arith::CmpIPredicate::ult, v[1], width);
        Value zero = s.integer(type, 0);
        Value amount = s.select(fits, v[1], zero);
        Value shifted =
            left ? Value(arith::ShLIOp::create(s.b, s.loc, v[0], amount))
                 : Value(arith::ShRUIOp::create(s.b, s.loc, v[0], amount));
        return s.select(fits, shifted, zero);
      }));
}

/// fmod = 0: the result has the sign of the divisor, as in Python; fmod = 1:
/// of the dividend, as in C.
static LogicalResult lowerMod(OpLowering &l) {
  bool truncated = l.getInt("fmod", 0) != 0;
  return l.done(l.map(
      {l.in(0), l.in(1)}, l.outElem(),
      [&](Scalars &s, ValueRange v) {
        Type type = v[0].getType();
        Value zero = s.constant(type, 0);
        Value rest;
        if (isa<FloatType>(type))
          rest = arith::RemFOp::create(s.b, s.loc, v[0], v[1]);
        else
          rest = s.sub(v[0], s.mul(s.div(v[0], v[1]), v[1]));
        if (truncated || s.isUnsigned)
          return rest;
        Value signsDiffer = arith::XOrIOp::create(s.b, s.loc, s.lt(rest, zero),
                                                  s.lt(v[1], zero));
        Value adjust = arith::AndIOp::create(s.b, s.loc, signsDiffer,
                                             s.logicalNot(s.eq(rest, zero)));
        return s.select(adjust, s.add(rest, v[1]), rest);
      },
      l.inUnsigned(0)));
}

/// x to a power that is known when the program is compiled, null if there is
/// nothing shorter than the general way.
static Value knownPower(Scalars &s, Value x, double exponent) {
  if (exponent == 1)
    return x;
  if (exponent == 2)
    return s.mul(x, x);
  if (exponent == 3)
    return s.mul(s.mul(x, x), x);
  if (isa<FloatType>(x.getType()) && exponent == 0.5)
    return s.sqrt(x);
  if (isa<FloatType>(x.getType()) && exponent == -1)
    return s.div(s.constant(x.getType(), 1), x);
  return {};
}

static LogicalResult lowerPow(OpLowering &l) {
  auto exponents = l.constFloats(1);
  bool baseUnsigned = l.inUnsigned(0), powerUnsigned = l.inUnsigned(1);
  return l.done(
      l.map({l.in(0), l.in(1)}, l.outElem(), [&](Scalars &s, ValueRange v) {
        if (exponents && exponents->size() == 1)
          if (Value known = knownPower(s, v[0], exponents->front()))
            return known;
        Type type = v[0].getType();
        // Integers go through f64, as in ONNX Runtime.
        Type wide = type.isF32() ? type : Type(s.b.getF64Type());
        Value base = s.cast(v[0], wide, baseUnsigned, false);
        Value power = s.cast(v[1], wide, powerUnsigned, false);
        Value result = math::PowFOp::create(s.b, s.loc, base, power);
        return s.cast(result, type, false, baseUnsigned);
      }));
}

//===----------------------------------------------------------------------===//
// Any number of operands
//===----------------------------------------------------------------------===//

template <Value (Scalars::*fn)(Value, Value)>
static LogicalResult lowerVariadic(OpLowering &l) {
  bool isMean = l.op->getName().getStringRef() == "onnx.Mean";
  unsigned count = l.numInputs();
  if (count == 1)
    return l.done(l.in(0));
  return l.done(l.map(
      SmallVector<Value>(l.inputs()), l.outElem(),
      [&](Scalars &s, ValueRange v) {
        Value result = v[0];
        for (Value next : v.drop_front())
          result = (s.*fn)(result, next);
        if (isMean)
          result = s.div(result, s.constant(result.getType(), count));
        return result;
      },
      l.inUnsigned(0)));
}

static LogicalResult lowerWhere(OpLowering &l) {
  return l.done(l.map(
      {l.in(0), l.in(1), l.in(2)}, l.outElem(),
      [](Scalars &s, ValueRange v) { return s.select(v[0], v[1], v[2]); }));
}

/// min(max(x, low), high); both bounds are optional scalars.
static LogicalResult lowerClip(OpLowering &l) {
  SmallVector<Value> ins{l.in(0)};
  bool hasLow = l.has(1), hasHigh = l.has(2);
  for (unsigned i : {1, 2})
    if (l.has(i))
      ins.push_back(l.reshape(l.in(i), {}));
  return l.done(l.map(
      ins, l.outElem(),
      [&](Scalars &s, ValueRange v) {
        Value result = v[0];
        if (hasLow)
          result = s.max(result, v[1]);
        if (hasHigh)
          result = s.min(result, v.back());
        return result;
      },
      l.inUnsigned(0)));
}

void addElementwise(LowerTable &table) {
  table["onnx.Identity"] = lowerIdentity;
  table["onnx.Abs"] = lowerUnary<&Scalars::abs>;
  table["onnx.Neg"] = lowerUnary<&Scalars::neg>;
  table["onnx.Not"] = lowerUnary<&Scalars::logicalNot>;
  table["onnx.BitwiseNot"] = lowerUnary<&Scalars::logicalNot>;
  table["onnx.IsNaN"] = lowerUnary<&Scalars::isNaN>;
  table["onnx.Reciprocal"] = lowerReciprocal;
  table["onnx.Sign"] = lowerSign;
  table["onnx.IsInf"] = lowerIsInf;
  table["onnx.Ceil"] = lowerFloatUnary<math::CeilOp>;
  table["onnx.Floor"] = lowerFloatUnary<math::FloorOp>;
  table["onnx.Round"] = lowerFloatUnary<math::RoundEvenOp>;
  table["onnx.Sqrt"] = lowerFloatUnary<math::SqrtOp>;
  table["onnx.Exp"] = lowerFloatUnary<math::ExpOp>;
  table["onnx.Log"] = lowerFloatUnary<math::LogOp>;
  table["onnx.Erf"] = lowerFloatUnary<math::ErfOp>;
  table["onnx.Sin"] = lowerFloatUnary<math::SinOp>;
  table["onnx.Cos"] = lowerFloatUnary<math::CosOp>;
  table["onnx.Tan"] = lowerFloatUnary<math::TanOp>;
  table["onnx.Asin"] = lowerFloatUnary<math::AsinOp>;
  table["onnx.Acos"] = lowerFloatUnary<math::AcosOp>;
  table["onnx.Atan"] = lowerFloatUnary<math::AtanOp>;
  table["onnx.Sinh"] = lowerFloatUnary<math::SinhOp>;
  table["onnx.Cosh"] = lowerFloatUnary<math::CoshOp>;
  table["onnx.Asinh"] = lowerFloatUnary<math::AsinhOp>;
  table["onnx.Acosh"] = lowerFloatUnary<math::AcoshOp>;
  table["onnx.Atanh"] = lowerFloatUnary<math::AtanhOp>;

  table["onnx.Add"] = lowerBinary<&Scalars::add>;
  table["onnx.Sub"] = lowerBinary<&Scalars::sub>;
  table["onnx.Mul"] = lowerBinary<&Scalars::mul>;
  table["onnx.Div"] = lowerBinary<&Scalars::div>;
  table["onnx.Mod"] = lowerMod;
  table["onnx.Pow"] = lowerPow;
  table["onnx.Equal"] = lowerBinary<&Scalars::eq>;
  table["onnx.Less"] = lowerBinary<&Scalars::lt>;
  table["onnx.LessOrEqual"] = lowerBinary<&Scalars::le>;
  table["onnx.Greater"] = lowerSwapped<&Scalars::lt>;
  table["onnx.GreaterOrEqual"] = lowerSwapped<&Scalars::le>;
  for (const char *name : {"onnx.And", "onnx.BitwiseAnd"})
    table[name] = lowerBitwise<arith::AndIOp>;
  for (const char *name : {"onnx.Or", "onnx.BitwiseOr"})
    table[name] = lowerBitwise<arith::OrIOp>;
  for (const char *name : {"onnx.Xor", "onnx.BitwiseXor"})
    table[name] = lowerBitwise<arith::XOrIOp>;
  table["onnx.BitShift"] = lowerBitShift;

  table["onnx.Max"] = lowerVariadic<&Scalars::max>;
  table["onnx.Min"] = lowerVariadic<&Scalars::min>;
  table["onnx.Sum"] = lowerVariadic<&Scalars::add>;
  table["onnx.Mean"] = lowerVariadic<&Scalars::add>;
  table["onnx.Where"] = lowerWhere;
  table["onnx.Clip"] = lowerClip;
}

} // namespace nibble::onnx_to_linalg
