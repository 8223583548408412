//===- Random.cpp - Random numbers ----------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The generator is Squares (B. Widynski, "Squares: A Fast Counter-Based RNG",
// arXiv:2004.06278): number i is a function of i and a key, so that elements
// are computed in any order, in vectors, and equally in every run. The key is
// made of the bits of `seed`, or of the layer's name where there is none.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

namespace {
class Generator {
public:
  explicit Generator(OpLowering &l) : key(makeKey(l)) {}

  /// 32 random bits, as an i64, for a counter (i64).
  Value bits(Scalars &s, Value counter) const;
  /// A number in [0, 1).
  Value uniform(Scalars &s, Value counter, Type type) const;
  /// A number of the standard normal distribution.
  Value normal(Scalars &s, Value counter, Type type) const;

private:
  static uint64_t makeKey(OpLowering &l);
  uint64_t key;
};
} // namespace

uint64_t Generator::makeKey(OpLowering &l) {
  StringRef name = l.layerName();
  float seed = l.getFloat("seed", 0);
  if (auto integer = l.op->getAttrOfType<IntegerAttr>("seed"))
    seed = integer.getInt();
  uint64_t bits = llvm::bit_cast<uint32_t>(seed);
  if (!l.hasAttr("seed"))
    bits = llvm::xxh3_64bits(llvm::arrayRefFromStringRef(name));
  // A key must look random itself and be odd (SplitMix64).
  bits += 0x9E3779B97F4A7C15ull;
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9ull;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBull;
  return (bits ^ (bits >> 31)) | 1;
}

Value Generator::bits(Scalars &s, Value counter) const {
  Type i64 = s.b.getI64Type();
  Value k = s.integer(i64, static_cast<int64_t>(key));
  Value half = s.integer(i64, 32);
  auto turned = [&](Value v) -> Value {
    Value high = arith::ShRUIOp::create(s.b, s.loc, v, half);
    Value low = arith::ShLIOp::create(s.b, s.loc, v, half);
    return arith::OrIOp::create(s.b, s.loc, high, low);
  };
  Value x = s.mul(counter, k), y = x, z = s.add(y, k);
  for (Value added : {y, z, y})
    x = turned(s.add(s.mul(x, x), added));
  x = s.add(s.mul(x, x), z);
  return arith::ShRUIOp::create(s.b, s.loc, x, half);
}

Value Generator::uniform(Scalars &s, Value counter, Type type) const {
  Type i64 = s.b.getI64Type();
  // As many bits as the mantissa holds.
  int64_t dropped = type.isF64() ? 0 : 8;
  Value number = arith::ShRUIOp::create(s.b, s.loc, bits(s, counter),
                                        s.integer(i64, dropped));
  Value narrow = arith::TruncIOp::create(s.b, s.loc, s.b.getI32Type(), number);
  Value value = arith::UIToFPOp::create(s.b, s.loc, type, narrow);
  return s.mul(value, s.constant(type, std::ldexp(1.0, dropped - 32)));
}

/// The method of Box and Muller.
Value Generator::normal(Scalars &s, Value counter, Type type) const {
  Type i64 = s.b.getI64Type();
  Value first = s.mul(counter, s.integer(i64, 2));
  Value second = s.add(first, s.integer(i64, 1));
  // Not zero, of which there is no logarithm.
  Value u = s.sub(s.constant(type, 1), uniform(s, first, type));
  Value v = uniform(s, second, type);
  Value radius = s.sqrt(s.mul(s.constant(type, -2), s.log(u)));
  Value angle = s.mul(s.constant(type, 6.283185307179586), v);
  return s.mul(radius, math::CosOp::create(s.b, s.loc, angle));
}

/// Elements computed from their row-major number (i64) and their position.
static Value generateNumbered(
    OpLowering &l, ArrayRef<OpFoldResult> sizes, Type elem,
    llvm::function_ref<Value(Scalars &, Value counter, ValueRange at)> fn) {
  SmallVector<Value> lengths;
  for (OpFoldResult size : sizes)
    lengths.push_back(l.value(size));
  return l.generate(sizes, elem, [&](Scalars &s, ValueRange at) {
    Value number = s.integer(s.b.getIndexType(), 0);
    for (auto [i, length] : llvm::zip_equal(at, lengths))
      number = s.add(s.mul(number, length), i);
    return fn(s, s.fromIndex(number, s.b.getI64Type()), at);
  });
}

static SmallVector<OpFoldResult> resultSizes(OpLowering &l) {
  if (l.numInputs() == 1)
    return l.sizes(l.in(0));
  SmallVector<OpFoldResult> sizes;
  for (int64_t size : l.getInts("shape"))
    sizes.push_back(l.index(size));
  return sizes;
}

static LogicalResult lowerRandom(OpLowering &l, bool normal) {
  Generator random(l);
  Type elem = l.outElem(), type = computeType(elem);
  double low = l.getFloat("low", 0), high = l.getFloat("high", 1);
  double mean = l.getFloat("mean", 0), scale = l.getFloat("scale", 1);
  return l.done(generateNumbered(
      l, resultSizes(l), elem, [&](Scalars &s, Value counter, ValueRange) {
        Value x = normal ? random.normal(s, counter, type)
                         : random.uniform(s, counter, type);
        x = s.mul(s.constant(type, normal ? scale : high - low), x);
        x = s.add(s.constant(type, normal ? mean : low), x);
        return s.cast(x, elem, false, false);
      }));
}

static LogicalResult lowerRandomNormal(OpLowering &l) {
  return lowerRandom(l, /*normal=*/true);
}
static LogicalResult lowerRandomUniform(OpLowering &l) {
  return lowerRandom(l, /*normal=*/false);
}

static LogicalResult lowerBernoulli(OpLowering &l) {
  Generator random(l);
  Type elem = l.outElem(), type = computeType(l.inElem(0));
  bool isUnsigned = l.outUnsigned();
  return l.done(generateNumbered(
      l, l.sizes(l.in(0)), elem, [&](Scalars &s, Value counter, ValueRange at) {
        Value p = s.cast(OpLowering::at(s, l.in(0), at), type, false, false);
        Value hit = s.lt(random.uniform(s, counter, type), p);
        return s.cast(hit, elem, true, isUnsigned);
      }));
}

/// The class with the largest sum of its log probability and a number of
/// Gumbel's distribution, which has the right distribution.
static LogicalResult lowerMultinomial(OpLowering &l) {
  Generator random(l);
  Value x = l.in(0);
  Type elem = l.outElem(), type = computeType(l.inElem(0));
  OpFoldResult classes = l.size(x, 1);
  l.require(l.scalars().lt(l.value(l.index(0)), l.value(classes)),
            "there are no classes");
  SmallVector<OpFoldResult> sizes{l.size(x, 0),
                                  l.index(l.getInt("sample_size", 1)), classes};
  Value keys = generateNumbered(
      l, sizes, type, [&](Scalars &s, Value counter, ValueRange at) {
        Value u = s.add(random.uniform(s, counter, type),
                        s.constant(type, std::ldexp(1.0, -33)));
        Value noise = s.neg(s.log(s.neg(s.log(u))));
        Value p = OpLowering::at(s, x, {at[0], at[2]});
        return s.add(s.cast(p, type, false, false), noise);
      });
  Value best =
      l.reduce(keys, 2, l.scalars().lowest(type),
               [](Scalars &s, ValueRange v) { return s.max(v[1], v[0]); });
  Value last = l.value(l.sub(classes, l.index(1)));
  Value places = l.generate(sizes, elem, [&](Scalars &s, ValueRange at) {
    Value key = OpLowering::at(s, keys, at);
    Value top = OpLowering::at(s, best, {at[0], at[1]});
    Value place = s.select(s.eq(key, top), at[2], last);
    return s.fromIndex(place, elem);
  });
  return l.done(
      l.reduce(places, 2, l.scalars().highest(elem),
               [](Scalars &s, ValueRange v) { return s.min(v[1], v[0]); }));
}

/// Zeros with probability `ratio`, the rest scaled up, if training.
static LogicalResult lowerDropout(OpLowering &l) {
  Generator random(l);
  Value x = l.in(0);
  Type elem = l.outElem(), type = computeType(elem), i1 = l.b.getI1Type();
  SmallVector<OpFoldResult> sizes = l.sizes(x);
  Scalars outer = l.scalars();
  Value training = l.has(2) ? l.scalarOf(l.in(2)) : outer.integer(i1, 0);
  Value ratio = l.has(1) ? outer.cast(l.scalarOf(l.in(1)), type, false, false)
                         : outer.constant(type, 0.5);
  bool inference = !l.has(2);
  if (auto constant = l.has(2) ? l.constInts(2) : std::nullopt)
    inference = constant->front() == 0;
  if (inference) {
    SmallVector<Value> results{x};
    if (l.hasResult(1))
      results.push_back(l.filled(sizes, outer.integer(i1, 1)));
    return l.done(results);
  }
  auto keeps = [&](Scalars &s, Value counter) -> Value {
    Value kept = s.le(ratio, random.uniform(s, counter, type));
    return arith::OrIOp::create(s.b, s.loc, kept, s.logicalNot(training));
  };
  Value y = generateNumbered(
      l, sizes, elem, [&](Scalars &s, Value counter, ValueRange at) {
        Value v = s.cast(OpLowering::at(s, x, at), type, false, false);
        Value scale = s.select(training, s.sub(s.constant(type, 1), ratio),
                               s.constant(type, 1));
        Value kept =
            s.select(keeps(s, counter), s.div(v, scale), s.constant(type, 0));
        return s.cast(kept, elem, false, false);
      });
  SmallVector<Value> results{y};
  if (l.hasResult(1))
    results.push_back(generateNumbered(
        l, sizes, i1, [&](Scalars &s, Value counter, ValueRange) {
          return keeps(s, counter);
        }));
  return l.done(results);
}

void addRandom(LowerTable &table) {
  table["onnx.RandomNormal"] = lowerRandomNormal;
  table["onnx.RandomNormalLike"] = lowerRandomNormal;
  table["onnx.RandomUniform"] = lowerRandomUniform;
  table["onnx.RandomUniformLike"] = lowerRandomUniform;
  table["onnx.Bernoulli"] = lowerBernoulli;
  table["onnx.Multinomial"] = lowerMultinomial;
  table["onnx.Dropout"] = lowerDropout;
}

} // namespace nibble::onnx_to_linalg
