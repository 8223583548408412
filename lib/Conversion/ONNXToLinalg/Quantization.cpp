//===- Quantization.cpp - Integers with scales, as ONNX has them
//--------------===//
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

/// How scales and zero points are indexed for a tensor: one for all, one for
/// each element of an axis, or one for each block along it.
static FailureOr<AffineMap> scaleMap(OpLowering &l, unsigned data,
                                     unsigned scale) {
  int64_t rank = l.inRank(data), scaleRank = l.inRank(scale);
  MLIRContext *ctx = l.b.getContext();
  int64_t axis = l.getAxis("axis", 1, rank);
  int64_t block = l.getInt("block_size", 0);
  if (scaleRank == 0)
    return AffineMap::get(rank, 0, ctx);
  if (scaleRank == 1 && block == 0) {
    if (l.inType(scale).getDimSize(0) == 1)
      return AffineMap::get(rank, 0, getAffineConstantExpr(0, ctx), ctx);
    if (axis < 0 || axis >= rank)
      return l.fail("axis is out of range");
    l.requireEqual(l.size(l.in(scale), 0), l.size(l.in(data), axis),
                   "there must be one scale for each element of the axis");
    return AffineMap::get(rank, 0, getAffineDimExpr(axis, ctx), ctx);
  }
  if (scaleRank != rank || axis < 0 || axis >= rank)
    return l.fail("scales of rank " + Twine(scaleRank) +
                  " do not fit data of rank " + Twine(rank));
  if (block == 0) {
    auto n = getConstantIntValue(l.size(l.in(data), axis));
    auto blocks = getConstantIntValue(l.size(l.in(scale), axis));
    if (!n || !blocks || *blocks == 0)
      return l.fail("block_size is needed where sizes are not known");
    block = llvm::divideCeil(*n, *blocks);
  }
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < rank; ++d) {
    AffineExpr e = getAffineDimExpr(d, ctx);
    exprs.push_back(d == axis ? e.floorDiv(block) : e);
  }
  return AffineMap::get(rank, 0, exprs, ctx);
}

/// The integer range of an element type.
static std::pair<double, double> rangeOf(Type type, bool isUnsigned) {
  unsigned width = type.getIntOrFloatBitWidth();
  if (isUnsigned)
    return {0, std::ldexp(1.0, width) - 1};
  return {-std::ldexp(1.0, width - 1), std::ldexp(1.0, width - 1) - 1};
}

Value quantizeScalar(Scalars &s, Value x, Value scale, Value zero, Type to,
                     bool isUnsigned) {
  Type type = x.getType();
  auto [low, high] = rangeOf(to, isUnsigned);
  Value y = s.roundEven(s.div(x, scale));
  if (zero)
    y = s.add(y, zero);
  y = s.min(s.max(y, s.constant(type, low)), s.constant(type, high));
  if (isCoded(to))
    return encode(s, y, to);
  return s.cast(y, to, false, isUnsigned);
}

/// An element as a number that `Scalars` computes with.
static Value toNumber(Scalars &s, Value x, Type onnxType) {
  return isCoded(onnxType) ? decode(s, x, onnxType) : x;
}

static LogicalResult lowerQuantizeLinear(OpLowering &l) {
  auto map = scaleMap(l, 0, 1);
  if (failed(map))
    return failure();
  Type to = l.outONNXElem();
  bool isUnsigned = l.outUnsigned();
  if (isUnsigned)
    to = l.b.getIntegerType(to.getIntOrFloatBitWidth());
  if (!isCoded(to) && !to.isInteger(8) && !to.isInteger(16))
    return l.fail(llvm::formatv("quantization to {0} is not supported", to));
  int64_t rank = l.inRank(0);
  bool saturate = l.getInt("saturate", 1) != 0;
  SmallVector<Value> ins{l.in(0), l.in(1)};
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(rank), *map};
  if (l.has(2)) {
    auto zeroMap = scaleMap(l, 0, 2);
    if (failed(zeroMap))
      return failure();
    ins.push_back(l.in(2));
    maps.push_back(*zeroMap);
  }
  return l.done(l.pointwise(
      ins, maps, l.sizes(l.in(0)), l.outElem(), [&](Scalars &s, ValueRange v) {
        Type f32 = s.b.getF32Type();
        Value x = s.cast(v[0], f32, false, false);
        Value scale =
            s.cast(toNumber(s, v[1], l.inONNXElem(1)), f32, false, false);
        Value zero;
        if (v.size() == 3)
          zero = s.cast(toNumber(s, v[2], l.inONNXElem(2)), f32, isUnsigned,
                        false);
        if (isa<FloatType>(to)) {
          x = s.div(x, scale);
          return encode(s, zero ? s.add(x, zero) : x, to, saturate);
        }
        return quantizeScalar(s, x, scale, zero, to, isUnsigned);
      }));
}

static LogicalResult lowerDequantizeLinear(OpLowering &l) {
  auto map = scaleMap(l, 0, 1);
  if (failed(map))
    return failure();
  Type from = l.inONNXElem(0);
  if (!isa<IntegerType>(from) && !isCoded(from))
    return l.fail(
        llvm::formatv("dequantization of {0} is not supported", from));
  int64_t rank = l.inRank(0);
  bool isUnsigned = l.inUnsigned(0);
  SmallVector<Value> ins{l.in(0), l.in(1)};
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(rank), *map};
  if (l.has(2)) {
    auto zeroMap = scaleMap(l, 0, 2);
    if (failed(zeroMap))
      return failure();
    ins.push_back(l.in(2));
    maps.push_back(*zeroMap);
  }
  return l.done(l.pointwise(
      ins, maps, l.sizes(l.in(0)), l.outElem(), [&](Scalars &s, ValueRange v) {
        // The difference is exact in 32 bits for codes of up to 16.
        Type wide = isa<FloatType>(from) ? Type(s.b.getF32Type())
                                         : Type(s.b.getI32Type());
        Value code = s.cast(toNumber(s, v[0], from), wide, isUnsigned, false);
        if (v.size() == 3)
          code = s.sub(
              code, s.cast(toNumber(s, v[2], from), wide, isUnsigned, false));
        Type acc = v[1].getType();
        return s.mul(s.cast(code, acc, false, false), v[1]);
      }));
}

std::optional<DequantizedInput> getDequantizedInput(OpLowering &l, unsigned i) {
  Operation *op = l.op->getOperand(i).getDefiningOp();
  // What `lowerDequantizeLinear` made of it: codes, scale, zero point.
  auto loop = l.in(i).getDefiningOp<linalg::GenericOp>();
  if (!op || op->getName().getStringRef() != "onnx.DequantizeLinear" || !loop ||
      !l.inElem(i).isF32())
    return std::nullopt;
  OperandRange inputs = loop.getInputs();
  auto typeOf = [&](unsigned k) {
    return cast<RankedTensorType>(inputs[k].getType());
  };
  if (inputs.size() < 2 || !typeOf(0).getElementType().isInteger(8))
    return std::nullopt;
  for (unsigned k = 1; k < inputs.size(); ++k)
    if (!typeOf(k).hasStaticShape() || typeOf(k).getNumElements() != 1)
      return std::nullopt;
  auto type = cast<RankedTensorType>(op->getOperand(0).getType());
  DequantizedInput result;
  result.isUnsigned = type.getElementType().isUnsignedInteger();
  result.codes = inputs[0];
  Scalars s = l.scalars();
  result.scale = s.cast(l.scalarOf(inputs[1]), l.b.getF32Type(), false, false);
  result.zero = inputs.size() == 3
                    ? s.cast(l.scalarOf(inputs[2]), l.b.getI32Type(),
                             result.isUnsigned, false)
                    : s.integer(l.b.getI32Type(), 0);
  return result;
}

/// To uint8 with the range of the tensor, which is made to hold zero.
static LogicalResult lowerDynamicQuantizeLinear(OpLowering &l) {
  Value x = l.in(0);
  Type f32 = l.b.getF32Type(), i8 = l.b.getI8Type();
  SmallVector<int64_t> all =
      llvm::to_vector(llvm::seq<int64_t>(0, l.inRank(0)));
  Value none = l.scalars().constant(f32, 0);
  Value low = l.reduce(
      x, all, none, [](Scalars &s, ValueRange v) { return s.min(v[1], v[0]); });
  Value high = l.reduce(
      x, all, none, [](Scalars &s, ValueRange v) { return s.max(v[1], v[0]); });
  Value scale = l.map({low, high}, f32, [&](Scalars &s, ValueRange v) {
    Value range = s.sub(v[1], v[0]);
    // A tensor of zeros: any scale does, 0 / 0 would not.
    Value empty = s.eq(range, s.constant(f32, 0));
    return s.select(empty, s.constant(f32, 1),
                    s.div(range, s.constant(f32, 255)));
  });
  Value zero = l.map({low, scale}, i8, [&](Scalars &s, ValueRange v) {
    Value shifted = s.neg(s.div(v[0], v[1]));
    Value clamped =
        s.min(s.max(shifted, s.constant(f32, 0)), s.constant(f32, 255));
    return s.cast(s.roundEven(clamped), i8, false, true);
  });
  Value y = l.map({x, scale, zero}, i8, [&](Scalars &s, ValueRange v) {
    Value z = s.cast(v[2], f32, true, false);
    return quantizeScalar(s, v[0], v[1], z, i8, true);
  });
  return l.done({y, scale, zero});
}

/// (a - za) * (b - zb), scaled by sa * sb / sy and quantized again.
static LogicalResult lowerQLinearMatMul(OpLowering &l) {
  Type f32 = l.b.getF32Type(), i32 = l.b.getI32Type(), to = l.outElem();
  for (unsigned i : {1, 2, 4, 5, 6, 7})
    if (l.inType(i).getNumElements() != 1)
      return l.fail("only scales for whole tensors are supported");
  auto centered = [&](unsigned data, unsigned zero) {
    bool isUnsigned = l.inUnsigned(data);
    Value z = l.scalarOf(l.in(zero));
    return l.map(l.in(data), i32, [&](Scalars &s, ValueRange v) {
      return s.sub(s.cast(v[0], i32, isUnsigned, false),
                   s.cast(z, i32, isUnsigned, false));
    });
  };
  Value product = matmulBroadcast(l, centered(0, 2), centered(3, 5), i32);
  Scalars s = l.scalars();
  auto scaleOf = [&](unsigned i) {
    return s.cast(l.scalarOf(l.in(i)), f32, false, false);
  };
  Value factor = s.div(s.mul(scaleOf(1), scaleOf(4)), scaleOf(6));
  Value inverse = s.div(s.constant(f32, 1), factor);
  bool isUnsigned = l.outUnsigned();
  Value zero = s.cast(l.scalarOf(l.in(7)), f32, isUnsigned, false);
  return l.done(l.map(product, to, [&](Scalars &s, ValueRange v) {
    Value x = s.cast(v[0], f32, false, false);
    return quantizeScalar(s, x, inverse, zero, to, isUnsigned);
  }));
}

void addQuantization(LowerTable &table) {
  table["onnx.QuantizeLinear"] = lowerQuantizeLinear;
  table["onnx.DequantizeLinear"] = lowerDequantizeLinear;
  table["onnx.DynamicQuantizeLinear"] = lowerDynamicQuantizeLinear;
  table["onnx.QLinearMatMul"] = lowerQLinearMatMul;
}

} // namespace nibble::onnx_to_linalg
