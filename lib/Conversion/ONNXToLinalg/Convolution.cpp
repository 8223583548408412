//===- Convolution.cpp - Convolutions with any weight
//-------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Convolutions whose weight is constant are `nibble.conv` already; what comes
// here has a computed weight or integers, and becomes plain loops.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

/// out[n, g, m, o...] += in[n, g, c, o * stride + t * dilation...] * w, where
/// `padded` is [N, G, C, ...] and `weight` is read through a map over the
/// loops (n, g, m, o..., c, t...).
static Value convolve(OpLowering &l, Value padded, Value weight,
                      AffineMap weightMap, ArrayRef<OpFoldResult> outSizes,
                      ArrayRef<SpatialDim> dims, Type acc,
                      function_ref<Value(Scalars &, Value, Value)> product) {
  MLIRContext *ctx = l.b.getContext();
  int64_t rank = dims.size(), loops = 4 + 2 * rank;
  auto d = [&](int64_t i) { return getAffineDimExpr(i, ctx); };
  SmallVector<AffineExpr> in{d(0), d(1), d(3 + rank)};
  SmallVector<AffineExpr> out{d(0), d(1), d(2)};
  for (int64_t i = 0; i < rank; ++i) {
    in.push_back(d(3 + i) * dims[i].stride +
                 d(4 + rank + i) * dims[i].dilation);
    out.push_back(d(3 + i));
  }
  SmallVector<AffineMap> maps{AffineMap::get(loops, 0, in, ctx), weightMap};
  SmallVector<Value> ins{padded, weight};
  maps.push_back(AffineMap::get(loops, 0, out, ctx));
  SmallVector<utils::IteratorType> iterators(3 + rank,
                                             utils::IteratorType::parallel);
  iterators.append(1 + rank, utils::IteratorType::reduction);
  Value init = l.filled(outSizes, l.scalars().constant(acc, 0));
  return linalg::GenericOp::create(
             l.b, l.loc, init.getType(), ins, init, maps, iterators,
             [&](OpBuilder &b, Location loc, ValueRange args) {
               Scalars s{b, loc};
               linalg::YieldOp::create(
                   b, loc, s.add(args.back(), product(s, args[0], args[1])));
             })
      .getResult(0);
}

/// [N, G * C, ...] as [N, G, C, ...].
static Value splitGroups(OpLowering &l, Value x, int64_t groups, int64_t dim) {
  SmallVector<OpFoldResult> sizes = l.sizes(x);
  OpFoldResult per = l.floorDiv(sizes[dim], l.index(groups));
  sizes[dim] = per;
  sizes.insert(sizes.begin() + dim, l.index(groups));
  return l.reshape(x, sizes);
}

/// [N, G, M, ...] as [N, G * M, ...].
static Value joinGroups(OpLowering &l, Value y) {
  SmallVector<OpFoldResult> sizes = l.sizes(y);
  sizes[1] = l.mul(sizes[1], sizes[2]);
  sizes.erase(sizes.begin() + 2);
  return l.reshape(y, sizes);
}

static Value addBias(OpLowering &l, Value y, unsigned operand, Type elem) {
  if (!l.has(operand))
    return l.castElements(y, elem);
  int64_t rank = cast<RankedTensorType>(y.getType()).getRank();
  AffineMap channel =
      AffineMap::get(rank, 0, l.b.getAffineDimExpr(1), l.b.getContext());
  return l.pointwise(
      {y, l.in(operand)}, {l.b.getMultiDimIdentityMap(rank), channel},
      l.sizes(y), elem, [](Scalars &s, ValueRange v) {
        return s.add(v[0], s.cast(v[1], v[0].getType(), false, false));
      });
}

/// The forward product of x [N, C, ...] and w [M, C / G, taps...].
static FailureOr<Value>
convForward(OpLowering &l, Value x, Value w, Value padding, Type acc,
            function_ref<Value(Scalars &, Value, Value)> product) {
  SmallVector<OpFoldResult> weightSizes = l.sizes(w);
  auto dims = readSpatialDims(l, x, ArrayRef(weightSizes).drop_front(2));
  if (failed(dims))
    return failure();
  int64_t groups = l.getInt("group", 1), rank = dims->size();
  l.requireEqual(l.size(x, 1), l.mul(l.size(w, 1), l.index(groups)),
                 "the input's channels do not fit the weight");
  Value padded = splitGroups(l, padSpatial(l, x, *dims, padding), groups, 1);
  Value weight = splitGroups(l, w, groups, 0);
  SmallVector<OpFoldResult> outSizes{l.size(x, 0), l.index(groups),
                                     l.size(weight, 1)};
  SmallVector<AffineExpr> exprs{l.b.getAffineDimExpr(1),
                                l.b.getAffineDimExpr(2)};
  for (int64_t i = 0; i <= rank; ++i)
    exprs.push_back(l.b.getAffineDimExpr(3 + rank + i));
  for (const SpatialDim &d : *dims)
    outSizes.push_back(d.out);
  AffineMap weightMap =
      AffineMap::get(4 + 2 * rank, 0, exprs, l.b.getContext());
  return joinGroups(
      l, convolve(l, padded, weight, weightMap, outSizes, *dims, acc, product));
}

static LogicalResult lowerConv(OpLowering &l) {
  Type acc = computeType(l.outElem());
  auto y =
      convForward(l, l.in(0), l.in(1), l.scalars().constant(l.inElem(0), 0),
                  acc, [&](Scalars &s, Value x, Value w) {
                    return s.mul(s.cast(x, acc, false, false),
                                 s.cast(w, acc, false, false));
                  });
  if (failed(y))
    return failure();
  return l.done(addBias(l, *y, 2, l.outElem()));
}

/// The integer as i32, less its zero point.
static Value widen(OpLowering &l, unsigned operand, unsigned zeroPoint,
                   int64_t zeroDim) {
  bool isUnsigned = l.inUnsigned(operand);
  Type i32 = l.b.getI32Type();
  Value x = l.in(operand);
  if (!l.has(zeroPoint))
    return l.castElements(x, i32, isUnsigned, false);
  Value zero = l.in(zeroPoint);
  int64_t rank = l.inRank(operand);
  bool scalar =
      l.inRank(zeroPoint) == 0 || l.inType(zeroPoint).getDimSize(0) == 1;
  if (!scalar && l.inRank(zeroPoint) != 1) {
    (void)l.fail("zero points of rank " + Twine(l.inRank(zeroPoint)) +
                 " are not supported");
    return l.castElements(x, i32, isUnsigned, false);
  }
  SmallVector<AffineExpr> exprs;
  if (l.inRank(zeroPoint) == 1)
    exprs.push_back(scalar ? l.b.getAffineConstantExpr(0)
                           : l.b.getAffineDimExpr(zeroDim));
  AffineMap map = AffineMap::get(rank, 0, exprs, l.b.getContext());
  return l.pointwise({x, zero}, {l.b.getMultiDimIdentityMap(rank), map},
                     l.sizes(x), i32, [&](Scalars &s, ValueRange v) {
                       return s.sub(s.cast(v[0], i32, isUnsigned, false),
                                    s.cast(v[1], i32, isUnsigned, false));
                     });
}

static LogicalResult lowerConvInteger(OpLowering &l) {
  Type i32 = l.b.getI32Type();
  auto y = convForward(
      l, widen(l, 0, 2, 0), widen(l, 1, 3, 0), l.scalars().integer(i32, 0), i32,
      [](Scalars &s, Value x, Value w) { return s.mul(x, w); });
  if (failed(y))
    return failure();
  return l.done(*y);
}

static LogicalResult lowerMatMulInteger(OpLowering &l) {
  // A vector of zero points for A is per row.
  Value a = widen(l, 0, 2, std::max<int64_t>(l.inRank(0) - 2, 0));
  Value b = widen(l, 1, 3, l.inRank(1) - 1);
  return l.done(matmulBroadcast(l, a, b, l.b.getI32Type()));
}

/// (x - zx) * (w - zw) + b as integers, scaled by sx * sw / sy and quantized.
static LogicalResult lowerQLinearConv(OpLowering &l) {
  for (unsigned i : {1, 2, 6, 7})
    if (l.inType(i).getNumElements() != 1)
      return l.fail("input and output have one scale and zero point each");
  Type i32 = l.b.getI32Type(), f32 = l.b.getF32Type(), to = l.outElem();
  auto y = convForward(
      l, widen(l, 0, 2, 0), widen(l, 3, 5, 0), l.scalars().integer(i32, 0), i32,
      [](Scalars &s, Value x, Value w) { return s.mul(x, w); });
  if (failed(y))
    return failure();
  Value sums = addBias(l, *y, 8, i32);
  Scalars s = l.scalars();
  Value inputScale = l.scalarOf(l.in(1)), outputScale = l.scalarOf(l.in(6));
  bool isUnsigned = l.outUnsigned();
  Value zero = s.cast(l.scalarOf(l.in(7)), f32, isUnsigned, false);
  // One scale for the weight, or one for each output channel.
  int64_t rank = l.outRank();
  SmallVector<AffineExpr> channel;
  if (l.inRank(4) == 1)
    channel.push_back(l.isOne(l.in(4), 0) ? l.b.getAffineConstantExpr(0)
                                          : l.b.getAffineDimExpr(1));
  return l.done(
      l.pointwise({sums, l.in(4)},
                  {l.b.getMultiDimIdentityMap(rank),
                   AffineMap::get(rank, 0, channel, l.b.getContext())},
                  l.sizes(sums), to, [&](Scalars &s, ValueRange v) {
                    Value x = s.cast(v[0], f32, false, false);
                    Value scale = s.div(outputScale, s.mul(inputScale, v[1]));
                    return quantizeScalar(s, x, scale, zero, to, isUnsigned);
                  }));
}

//===----------------------------------------------------------------------===//
// ConvTranspose
//===----------------------------------------------------------------------===//

/// Spreads the input with stride - 1 zeros between elements, then convolves
/// with the mirrored kernel.
static LogicalResult lowerConvTranspose(OpLowering &l) {
  Value x = l.in(0), w = l.in(1);
  int64_t rank = l.inRank(0) - 2, groups = l.getInt("group", 1);
  Type elem = l.outElem(), acc = computeType(elem);
  SmallVector<int64_t> ones(rank, 1), zeros(rank, 0), pairs(2 * rank, 0);
  SmallVector<int64_t> strides = l.getInts("strides", ones);
  SmallVector<int64_t> dilations = l.getInts("dilations", ones);
  SmallVector<int64_t> pads = l.getInts("pads", pairs);
  SmallVector<int64_t> outputPadding = l.getInts("output_padding", zeros);
  SmallVector<int64_t> outputShape = l.getInts("output_shape");
  StringRef autoPad = l.getString("auto_pad", "NOTSET");

  SmallVector<SpatialDim> dims;
  SmallVector<OpFoldResult> spread = l.sizes(x), offsets(2, l.index(0)),
                            steps(2, l.index(1)), kernel;
  SmallVector<OpFoldResult> low(2, l.index(0)), high(2, l.index(0));
  for (int64_t i = 0; i < rank; ++i) {
    OpFoldResult in = l.size(x, i + 2), k = l.size(w, i + 2);
    OpFoldResult reach = l.mul(l.sub(k, l.index(1)), l.index(dilations[i]));
    OpFoldResult between = l.mul(l.sub(in, l.index(1)), l.index(strides[i]));
    OpFoldResult full = l.add(l.add(l.add(between, reach), l.index(1)),
                              l.index(outputPadding[i]));
    OpFoldResult padLow = l.index(pads[i]), padHigh = l.index(pads[i + rank]);
    OpFoldResult out = l.sub(l.sub(full, padLow), padHigh);
    if (!outputShape.empty() || autoPad.starts_with("SAME")) {
      out = outputShape.empty()
                ? l.mul(in, l.index(strides[i]))
                : l.index(outputShape[outputShape.size() - rank + i]);
      OpFoldResult total = l.max(l.sub(full, out), l.index(0));
      OpFoldResult half = l.floorDiv(total, l.index(2));
      padLow = autoPad == "SAME_UPPER" ? half : l.sub(total, half);
    } else if (autoPad == "VALID") {
      padLow = l.index(0);
      out = full;
    }
    // Output o sees spread positions o + padLow - reach + t * dilation.
    SpatialDim d;
    d.in = in;
    d.out = out;
    d.kernel = k;
    d.dilation = dilations[i];
    dims.push_back(d);
    spread[i + 2] = l.add(between, l.index(1));
    offsets.push_back(l.index(0));
    steps.push_back(l.index(strides[i]));
    kernel.push_back(k);
    low.push_back(l.sub(reach, padLow));
    // Up to position out - 1 + reach of the padded tensor.
    high.push_back(l.sub(l.add(out, padLow), spread[i + 2]));
  }
  Value zero = l.scalars().constant(l.inElem(0), 0);
  Value wide = x;
  if (llvm::any_of(strides, [](int64_t s) { return s != 1; }))
    wide = l.insert(x, l.filled(spread, zero), offsets, steps);
  Value padded = splitGroups(l, l.pad(wide, low, high, zero), groups, 1);
  // [C, M, taps...] as [G, C / G, M, taps...].
  Value weight = splitGroups(l, w, groups, 0);
  auto mirrored = l.sizes(weight);
  SmallVector<Value> last;
  for (int64_t i = 0; i < rank; ++i)
    last.push_back(l.value(l.sub(kernel[i], l.index(1))));
  Value flipped =
      l.generate(mirrored, l.inElem(1), [&](Scalars &s, ValueRange position) {
        SmallVector<Value> from(position);
        for (int64_t i = 0; i < rank; ++i)
          from[3 + i] = s.sub(last[i], position[3 + i]);
        return OpLowering::at(s, weight, from);
      });
  SmallVector<OpFoldResult> outSizes{l.size(x, 0), l.index(groups),
                                     l.size(w, 1)};
  for (const SpatialDim &d : dims)
    outSizes.push_back(d.out);
  SmallVector<AffineExpr> exprs{l.b.getAffineDimExpr(1),
                                l.b.getAffineDimExpr(3 + rank),
                                l.b.getAffineDimExpr(2)};
  for (int64_t i = 0; i < rank; ++i)
    exprs.push_back(l.b.getAffineDimExpr(4 + rank + i));
  AffineMap weightMap =
      AffineMap::get(4 + 2 * rank, 0, exprs, l.b.getContext());
  Value y = convolve(l, padded, flipped, weightMap, outSizes, dims, acc,
                     [&](Scalars &s, Value a, Value b) {
                       return s.mul(s.cast(a, acc, false, false),
                                    s.cast(b, acc, false, false));
                     });
  return l.done(addBias(l, joinGroups(l, y), 2, elem));
}

void addConvolution(LowerTable &table) {
  table["onnx.Conv"] = lowerConv;
  table["onnx.ConvInteger"] = lowerConvInteger;
  table["onnx.QLinearConv"] = lowerQLinearConv;
  table["onnx.MatMulInteger"] = lowerMatMulInteger;
  table["onnx.ConvTranspose"] = lowerConvTranspose;
}

} // namespace nibble::onnx_to_linalg
