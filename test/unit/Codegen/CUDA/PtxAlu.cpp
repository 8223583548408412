//===- PtxAlu.cpp - Arithmetic of PTX on one lane
//---------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PtxAlu.h"
#include "nibble/Quantizer/Scheme.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>
#include <cstring>

using namespace llvm;
using namespace nibble::test;
using nibble::quantizer::floatToHalf;
using nibble::quantizer::halfToFloat;

std::optional<PtxType> PtxType::parse(StringRef word) {
  PtxType type;
  if (word == "pred") {
    type.kind = Pred;
    type.bits = 1;
    return type;
  }
  type.pair = word.consume_back("x2");
  if (word.consume_front("bf"))
    type.kind = BFloat;
  else if (word.consume_front("f"))
    type.kind = Float;
  else if (word.consume_front("u"))
    type.kind = Unsigned;
  else if (word.consume_front("s"))
    type.kind = Signed;
  else if (!word.consume_front("b"))
    return std::nullopt;
  if (word.getAsInteger(10, type.bits))
    return std::nullopt;
  return type;
}

PtxDecoded PtxDecoded::decode(const PtxInstruction &instruction) {
  PtxDecoded decoded;
  decoded.instruction = &instruction;
  decoded.op = StringSwitch<PtxOp>(instruction.words[0])
                   .Case("mov", PtxOp::Mov)
                   .Case("add", PtxOp::Add)
                   .Case("sub", PtxOp::Sub)
                   .Case("mul", PtxOp::Mul)
                   .Case("mad", PtxOp::Mad)
                   .Case("fma", PtxOp::Fma)
                   .Case("div", PtxOp::Div)
                   .Case("rem", PtxOp::Rem)
                   .Case("min", PtxOp::Min)
                   .Case("max", PtxOp::Max)
                   .Case("neg", PtxOp::Neg)
                   .Case("abs", PtxOp::Abs)
                   .Case("and", PtxOp::And)
                   .Case("or", PtxOp::Or)
                   .Case("xor", PtxOp::Xor)
                   .Case("not", PtxOp::Not)
                   .Case("shl", PtxOp::Shl)
                   .Case("shr", PtxOp::Shr)
                   .Case("shf", PtxOp::Shf)
                   .Case("lop3", PtxOp::Lop3)
                   .Case("prmt", PtxOp::Prmt)
                   .Case("bfe", PtxOp::Bfe)
                   .Case("setp", PtxOp::Setp)
                   .Case("selp", PtxOp::Selp)
                   .Case("cvt", PtxOp::Cvt)
                   .Case("ex2", PtxOp::Ex2)
                   .Case("lg2", PtxOp::Lg2)
                   .Case("rcp", PtxOp::Rcp)
                   .Case("rsqrt", PtxOp::Rsqrt)
                   .Case("sqrt", PtxOp::Sqrt)
                   .Case("cvta", PtxOp::Cvta)
                   .Case("ld", PtxOp::Ld)
                   .Case("st", PtxOp::St)
                   .Case("bra", PtxOp::Bra)
                   .Cases({"ret", "exit"}, PtxOp::Ret)
                   .Cases({"bar", "barrier"}, PtxOp::Bar)
                   .Case("shfl", PtxOp::Shfl)
                   .Case("mma", PtxOp::Mma)
                   .Case("ldmatrix", PtxOp::Ldmatrix)
                   .Case("cp", PtxOp::Cp)
                   .Cases({"fence", "membar"}, PtxOp::Fence)
                   .Default(PtxOp::Unknown);
  unsigned types = 0;
  for (const std::string &word : ArrayRef(instruction.words).drop_front()) {
    if (word == "v2" || word == "v4" || word == "v8") {
      decoded.count = unsigned(word[1] - '0');
    } else if (std::optional<PtxType> type = PtxType::parse(word)) {
      // The last but one is the result's, if there are two.
      if (types++ == 0)
        decoded.type = *type;
      decoded.source = *type;
    }
  }
  return decoded;
}

double nibble::test::toDouble(uint64_t bits, PtxType type) {
  if (type.kind == PtxType::BFloat || type.bits == 32) {
    uint32_t word =
        type.kind == PtxType::BFloat ? uint32_t(bits << 16) : uint32_t(bits);
    float value;
    std::memcpy(&value, &word, 4);
    return value;
  }
  if (type.bits == 16)
    return halfToFloat(uint16_t(bits));
  double value;
  std::memcpy(&value, &bits, 8);
  return value;
}

uint64_t nibble::test::fromDouble(double value, PtxType type) {
  if (type.bits == 64) {
    uint64_t bits;
    std::memcpy(&bits, &value, 8);
    return bits;
  }
  float rounded = float(value);
  if (type.kind == PtxType::Float && type.bits == 16)
    return floatToHalf(rounded);
  uint32_t bits;
  std::memcpy(&bits, &rounded, 4);
  if (type.kind == PtxType::BFloat) {
    if (std::isnan(rounded))
      return 0x7fff;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  }
  return bits;
}

static int64_t signExtend(uint64_t value, unsigned bits) {
  return int64_t(value << (64 - bits)) >> (64 - bits);
}
static uint64_t zeroExtend(uint64_t value, unsigned bits) {
  return bits == 64 ? value : value & ((uint64_t(1) << bits) - 1);
}

static double evaluateFloat(const PtxDecoded &d, double a, double b, double c) {
  // Sums and products of two floats are exact in double or rounded once more
  // at a place that does not matter; a fused product of f32 needs its own.
  switch (d.op) {
  case PtxOp::Add:
    return a + b;
  case PtxOp::Sub:
    return a - b;
  case PtxOp::Mul:
    return a * b;
  case PtxOp::Fma:
  case PtxOp::Mad:
    if (d.type.bits == 32)
      return std::fma(float(a), float(b), float(c));
    return std::fma(a, b, c);
  case PtxOp::Div:
    return a / b;
  case PtxOp::Min:
    return std::fmin(a, b);
  case PtxOp::Max:
    return std::fmax(a, b);
  case PtxOp::Neg:
    return -a;
  case PtxOp::Abs:
    return std::fabs(a);
  case PtxOp::Ex2:
    return std::exp2(a);
  case PtxOp::Lg2:
    return std::log2(a);
  case PtxOp::Rcp:
    return 1 / a;
  case PtxOp::Rsqrt:
    return 1 / std::sqrt(a);
  case PtxOp::Sqrt:
    return std::sqrt(a);
  default:
    return NAN;
  }
}

static uint64_t evaluateInteger(const PtxDecoded &d, uint64_t a, uint64_t b,
                                uint64_t c) {
  unsigned bits = d.type.bits;
  bool isSigned = d.type.kind == PtxType::Signed;
  auto extend = [&](uint64_t x) {
    return isSigned ? uint64_t(signExtend(x, bits)) : zeroExtend(x, bits);
  };
  a = extend(a);
  b = extend(b);
  auto less = [&](uint64_t x, uint64_t y) {
    return isSigned ? int64_t(x) < int64_t(y) : x < y;
  };
  auto product = [&]() -> uint64_t {
    if (!d.instruction->has("hi"))
      return a * b;
    return isSigned ? uint64_t((__int128(int64_t(a)) * int64_t(b)) >> bits)
                    : uint64_t((unsigned __int128)(a)*b >> bits);
  };
  switch (d.op) {
  case PtxOp::Add:
    return a + b;
  case PtxOp::Sub:
    return a - b;
  case PtxOp::Mul:
    return product();
  case PtxOp::Mad:
    return product() + c;
  case PtxOp::Div:
    if (b == 0)
      return ~uint64_t(0);
    return isSigned ? uint64_t(int64_t(a) / int64_t(b)) : a / b;
  case PtxOp::Rem:
    if (b == 0)
      return a;
    return isSigned ? uint64_t(int64_t(a) % int64_t(b)) : a % b;
  case PtxOp::Min:
    return less(a, b) ? a : b;
  case PtxOp::Max:
    return less(a, b) ? b : a;
  case PtxOp::Neg:
    return -a;
  case PtxOp::Abs:
    return uint64_t(std::llabs(int64_t(a)));
  default:
    return 0;
  }
}

static uint64_t convert(const PtxDecoded &d, uint64_t a, uint64_t b) {
  const PtxInstruction &i = *d.instruction;
  if (d.type.pair) {
    // The first source becomes the upper half.
    PtxType half = d.type;
    half.pair = false;
    return fromDouble(toDouble(b, d.source), half) |
           fromDouble(toDouble(a, d.source), half) << 16;
  }
  if (d.source.isFloat()) {
    double value = toDouble(a, d.source);
    if (i.has("rni"))
      value = std::nearbyint(value);
    else if (i.has("rzi"))
      value = std::trunc(value);
    else if (i.has("rmi"))
      value = std::floor(value);
    else if (i.has("rpi"))
      value = std::ceil(value);
    if (d.type.isFloat())
      return fromDouble(value, d.type);
    // Out of range: the nearest integer that there is.
    bool isSigned = d.type.kind == PtxType::Signed;
    double low = isSigned ? -std::ldexp(1.0, int(d.type.bits) - 1) : 0;
    double high = std::ldexp(1.0, int(d.type.bits) - isSigned) - 1;
    value = std::isnan(value) ? 0 : std::fmin(std::fmax(value, low), high);
    return isSigned ? uint64_t(int64_t(value)) : uint64_t(value);
  }
  bool isSigned = d.source.kind == PtxType::Signed;
  uint64_t value = isSigned ? uint64_t(signExtend(a, d.source.bits))
                            : zeroExtend(a, d.source.bits);
  if (d.type.isFloat())
    return fromDouble(isSigned ? double(int64_t(value)) : double(value),
                      d.type);
  if (i.has("sat")) {
    int64_t s = int64_t(value), limit = int64_t(1) << (d.type.bits - 1);
    if (d.type.kind == PtxType::Signed)
      s = std::min(std::max(s, -limit), limit - 1);
    else
      s = std::min(std::max<int64_t>(s, 0), 2 * limit - 1);
    return uint64_t(s);
  }
  return value;
}

static bool compare(const PtxDecoded &d, uint64_t a, uint64_t b) {
  StringRef how = d.instruction->words[1];
  if (d.type.isFloat()) {
    double x = toDouble(a, d.type), y = toDouble(b, d.type);
    bool unordered = std::isnan(x) || std::isnan(y);
    if (how == "num" || how == "nan")
      return unordered == (how == "nan");
    // A `u` behind the name accepts what is not ordered.
    if (how.size() == 3 && how.back() == 'u') {
      if (unordered)
        return true;
      how = how.drop_back();
    } else if (unordered) {
      return false;
    }
    return StringSwitch<bool>(how)
        .Case("eq", x == y)
        .Case("ne", x != y)
        .Case("lt", x < y)
        .Case("le", x <= y)
        .Case("gt", x > y)
        .Case("ge", x >= y)
        .Default(false);
  }
  if (d.type.kind == PtxType::Signed) {
    a = uint64_t(signExtend(a, d.type.bits)) ^ (uint64_t(1) << 63);
    b = uint64_t(signExtend(b, d.type.bits)) ^ (uint64_t(1) << 63);
  } else {
    a = zeroExtend(a, d.type.bits);
    b = zeroExtend(b, d.type.bits);
  }
  return StringSwitch<bool>(how)
      .Case("eq", a == b)
      .Case("ne", a != b)
      .Cases({"lt", "lo"}, a < b)
      .Cases({"le", "ls"}, a <= b)
      .Cases({"gt", "hi"}, a > b)
      .Cases({"ge", "hs"}, a >= b)
      .Default(false);
}

static uint64_t permute(uint64_t a, uint64_t b, uint64_t selector) {
  uint64_t bytes = zeroExtend(a, 32) | b << 32, result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    uint64_t nibble = selector >> (4 * i) & 15;
    uint64_t byte = bytes >> (8 * (nibble & 7)) & 255;
    // The fourth bit asks for copies of the sign.
    if (nibble & 8)
      byte = byte & 128 ? 255 : 0;
    result |= byte << (8 * i);
  }
  return result;
}

uint64_t nibble::test::evaluate(const PtxDecoded &d, uint64_t a, uint64_t b,
                                uint64_t c) {
  unsigned bits = d.type.bits;
  switch (d.op) {
  case PtxOp::Mov:
  case PtxOp::Cvta:
    return a;
  case PtxOp::And:
    return a & b;
  case PtxOp::Or:
    return a | b;
  case PtxOp::Xor:
    return a ^ b;
  case PtxOp::Not:
    return d.type.kind == PtxType::Pred ? !a : ~a;
  case PtxOp::Shl:
    return uint32_t(b) >= bits ? 0 : zeroExtend(a << uint32_t(b), bits);
  case PtxOp::Shr: {
    unsigned by = unsigned(std::min<uint64_t>(uint32_t(b), bits - 1));
    if (d.type.kind == PtxType::Signed)
      return zeroExtend(uint64_t(signExtend(a, bits) >> by), bits);
    return uint32_t(b) >= bits ? 0 : zeroExtend(a, bits) >> by;
  }
  case PtxOp::Shf: {
    uint64_t both = zeroExtend(a, 32) | b << 32;
    unsigned by = unsigned(c) & 31;
    return zeroExtend(d.instruction->has("l") ? both << by >> 32 : both >> by,
                      32);
  }
  case PtxOp::Prmt:
    return permute(a, b, c);
  case PtxOp::Bfe: {
    unsigned from = unsigned(b) & 255, count = unsigned(c) & 255;
    uint64_t field = from >= bits ? 0 : zeroExtend(a, bits) >> from;
    if (count == 0 || count >= bits)
      return count == 0 ? 0 : field;
    if (d.type.kind == PtxType::Signed)
      return zeroExtend(uint64_t(signExtend(field, count)), bits);
    return zeroExtend(field, count);
  }
  case PtxOp::Setp:
    return compare(d, a, b);
  case PtxOp::Selp:
    return c & 1 ? a : b;
  case PtxOp::Cvt:
    return convert(d, a, b);
  default:
    break;
  }
  if (d.type.isFloat()) {
    PtxType type = d.type;
    type.pair = false;
    auto one = [&](unsigned by) {
      return fromDouble(evaluateFloat(d, toDouble(a >> by, type),
                                      toDouble(b >> by, type),
                                      toDouble(c >> by, type)),
                        type);
    };
    // Shifted bits of a pair's low half are dropped by the conversion of 16.
    if (d.type.pair)
      return (one(0) & 0xffff) | one(16) << 16;
    return one(0);
  }
  if (d.instruction->has("wide"))
    return evaluateInteger(d, a, b, c);
  return zeroExtend(evaluateInteger(d, a, b, c), bits);
}
