//===- Normalization.cpp - Softmax and normalizations
//-------------------------===//
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

static Value addStep(Scalars &s, ValueRange v) { return s.add(v[1], v[0]); }
static Value maxStep(Scalars &s, ValueRange v) { return s.max(v[1], v[0]); }

//===----------------------------------------------------------------------===//
// Softmax family
//===----------------------------------------------------------------------===//

static LogicalResult lowerSoftmax(OpLowering &l) {
  Value x = l.in(0);
  int64_t axis = l.getAxis("axis", -1, l.inRank(0));
  return l.done(softmax(l, x, axis, l.outElem()));
}

Value softmax(OpLowering &l, Value x, int64_t axis, Type elem) {
  Type acc = computeType(elem);
  Scalars s = l.scalars();
  Value max = l.reduce(x, axis, s.lowest(acc), maxStep);
  Value exps = l.mapReduced(x, max, axis, acc, [](Scalars &s, ValueRange v) {
    return s.exp(s.sub(v[0], v[1]));
  });
  Value sum = l.reduce(exps, axis, s.constant(acc, 0), addStep);
  return l.mapReduced(exps, sum, axis, elem, [](Scalars &s, ValueRange v) {
    return s.div(v[0], v[1]);
  });
}

static LogicalResult lowerLogSoftmax(OpLowering &l) {
  int64_t axis = l.getAxis("axis", -1, l.inRank(0));
  return l.done(logSoftmax(l, l.in(0), axis, l.outElem()));
}

Value logSoftmax(OpLowering &l, Value x, int64_t axis, Type elem) {
  Type acc = computeType(elem);
  Scalars s = l.scalars();
  Value max = l.reduce(x, axis, s.lowest(acc), maxStep);
  Value shifted = l.mapReduced(x, max, axis, acc, [](Scalars &s, ValueRange v) {
    return s.sub(v[0], v[1]);
  });
  Value exps =
      l.map(shifted, acc, [](Scalars &s, ValueRange v) { return s.exp(v[0]); });
  Value sum = l.reduce(exps, axis, s.constant(acc, 0), addStep);
  return l.mapReduced(shifted, sum, axis, elem, [](Scalars &s, ValueRange v) {
    return s.sub(v[0], s.log(v[1]));
  });
}

/// One at the first maximum along the axis, zero elsewhere.
static LogicalResult lowerHardmax(OpLowering &l) {
  Value x = l.in(0);
  Type elem = l.outElem(), acc = computeType(elem);
  int64_t rank = l.inRank(0), axis = l.getAxis("axis", -1, rank);
  Scalars s = l.scalars();
  Value max = l.reduce(x, axis, s.lowest(acc), maxStep);
  Type i64 = l.b.getI64Type();
  // The lowest position that holds the maximum.
  Value positions =
      l.generate(l.sizes(x), i64, [&](Scalars &s, ValueRange position) {
        return s.fromIndex(position[axis], i64);
      });
  Value n = s.fromIndex(l.value(l.size(x, axis)), i64);
  AffineMap id = l.b.getMultiDimIdentityMap(rank);
  AffineMap reduced = mapWithoutDims(l.b.getContext(), rank, axis);
  Value candidates =
      l.pointwise({x, max, positions}, {id, reduced, id}, l.sizes(x), i64,
                  [&](Scalars &s, ValueRange v) {
                    return s.select(s.eq(v[0], v[1]), v[2], n);
                  });
  Value first = l.reduce(candidates, axis, n, [](Scalars &s, ValueRange v) {
    return s.min(v[1], v[0]);
  });
  return l.done(l.pointwise({positions, first}, {id, reduced}, l.sizes(x), elem,
                            [&](Scalars &s, ValueRange v) {
                              return s.select(s.eq(v[0], v[1]),
                                              s.constant(acc, 1),
                                              s.constant(acc, 0));
                            }));
}

//===----------------------------------------------------------------------===//
// Normalization over axes
//===----------------------------------------------------------------------===//

namespace {
/// Mean and 1 / sqrt(variance + epsilon) of what the axes hold.
struct Moments {
  Value mean, inverse;
};
} // namespace

static Value meanOver(OpLowering &l, Value x, ArrayRef<int64_t> axes) {
  Type acc = cast<RankedTensorType>(x.getType()).getElementType();
  OpFoldResult count = l.index(1);
  for (int64_t axis : axes)
    count = l.mul(count, l.size(x, axis));
  Value n = l.scalars().fromIndex(l.value(count), acc);
  Value sum = l.reduce(x, axes, l.scalars().constant(acc, 0), addStep);
  return l.map(sum, acc,
               [&](Scalars &s, ValueRange v) { return s.div(v[0], n); });
}

/// 1 / sqrt(mean(x^2) + epsilon).
static Value inverseRms(OpLowering &l, Value x, ArrayRef<int64_t> axes,
                        double epsilon) {
  Type acc = cast<RankedTensorType>(x.getType()).getElementType();
  Value squares =
      l.map(x, acc, [](Scalars &s, ValueRange v) { return s.mul(v[0], v[0]); });
  return l.map(meanOver(l, squares, axes), acc, [&](Scalars &s, ValueRange v) {
    Value shifted = s.add(v[0], s.constant(acc, epsilon));
    return s.div(s.constant(acc, 1), s.sqrt(shifted));
  });
}

/// x - mean, and the moments; the variance is that of the differences.
static Value center(OpLowering &l, Value x, ArrayRef<int64_t> axes,
                    double epsilon, Moments &moments) {
  Type acc = cast<RankedTensorType>(x.getType()).getElementType();
  moments.mean = meanOver(l, x, axes);
  Value centered =
      l.mapReduced(x, moments.mean, axes, acc,
                   [](Scalars &s, ValueRange v) { return s.sub(v[0], v[1]); });
  moments.inverse = inverseRms(l, centered, axes, epsilon);
  return centered;
}

static Value scaleBy(OpLowering &l, Value x, Value inverse,
                     ArrayRef<int64_t> axes, Type elem) {
  return l.mapReduced(x, inverse, axes, elem, [](Scalars &s, ValueRange v) {
    return s.mul(v[0], v[1]);
  });
}

/// The type statistics are computed in: `stash_type` may ask for more than
/// the input has, never for less than f32.
static Type stashType(OpLowering &l) { return computeType(l.inElem(0)); }

static LogicalResult lowerLayerNormalization(OpLowering &l) {
  int64_t rank = l.inRank(0), axis = l.getAxis("axis", -1, rank);
  double epsilon = l.getFloat("epsilon", 1e-5);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq(axis, rank));
  Type acc = stashType(l);
  Moments moments;
  Value centered =
      center(l, l.castElements(l.in(0), acc), axes, epsilon, moments);
  Value y = scaleBy(l, centered, moments.inverse, axes, acc);
  SmallVector<Value> ins{y, l.in(1)};
  if (l.has(2))
    ins.push_back(l.in(2));
  y = l.map(ins, l.outElem(), [](Scalars &s, ValueRange v) {
    Value scaled = s.mul(v[0], v[1]);
    return v.size() == 3 ? s.add(scaled, v[2]) : scaled;
  });
  l.results = {y, Value(), Value()};
  for (auto [i, moment] : {std::pair{1, moments.mean}, {2, moments.inverse}})
    if (l.hasResult(i))
      l.results[i] = l.castElements(l.unsqueeze(moment, axes), l.outElem(i));
  l.results.resize(l.op->getNumResults());
  return success();
}

static LogicalResult lowerRMSNormalization(OpLowering &l) {
  int64_t rank = l.inRank(0), axis = l.getAxis("axis", -1, rank);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq(axis, rank));
  Type acc = stashType(l);
  Value x = l.castElements(l.in(0), acc);
  Value inverse = inverseRms(l, x, axes, l.getFloat("epsilon", 1e-5));
  // One pass over the row: x * inverse * scale, the scale aligned right.
  int64_t scaleRank = l.inRank(1);
  bool plainScale = scaleRank <= rank - axis;
  for (int64_t d = 0; d < scaleRank; ++d)
    plainScale &= l.inType(1).getDimSize(d) ==
                  l.inType(0).getDimSize(rank - scaleRank + d);
  if (!plainScale)
    return l.done(
        l.map({scaleBy(l, x, inverse, axes, acc), l.in(1)}, l.outElem(),
              [](Scalars &s, ValueRange v) { return s.mul(v[0], v[1]); }));
  MLIRContext *ctx = l.b.getContext();
  SmallVector<int64_t> leading =
      llvm::to_vector(llvm::seq<int64_t>(0, rank - scaleRank));
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(rank),
                              mapWithoutDims(ctx, rank, axes),
                              mapWithoutDims(ctx, rank, leading)};
  return l.done(l.pointwise(
      {x, inverse, l.in(1)}, maps, l.sizes(x), l.outElem(),
      [](Scalars &s, ValueRange v) { return s.mul(s.mul(v[0], v[1]), v[2]); }));
}

/// A vector over channels (dimension 1), indexed in a tensor of some rank.
static AffineMap channelMap(OpLowering &l, int64_t rank, int64_t dim = 1) {
  return AffineMap::get(rank, 0, l.b.getAffineDimExpr(dim), l.b.getContext());
}

static LogicalResult lowerInstanceNormalization(OpLowering &l) {
  int64_t rank = l.inRank(0);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(2, rank));
  Type acc = stashType(l);
  Moments moments;
  Value centered = center(l, l.castElements(l.in(0), acc), axes,
                          l.getFloat("epsilon", 1e-5), moments);
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(rank),
                              mapWithoutDims(l.b.getContext(), rank, axes),
                              channelMap(l, rank), channelMap(l, rank)};
  return l.done(
      l.pointwise({centered, moments.inverse, l.in(1), l.in(2)}, maps,
                  l.sizes(centered), l.outElem(), [](Scalars &s, ValueRange v) {
                    return s.add(s.mul(s.mul(v[0], v[1]), v[2]), v[3]);
                  }));
}

/// Channels in groups: [N, G, C / G, spatial...].
static LogicalResult lowerGroupNormalization(OpLowering &l) {
  int64_t groups = l.getInt("num_groups", 1);
  Type acc = stashType(l);
  SmallVector<OpFoldResult> sizes = l.sizes(l.in(0));
  SmallVector<OpFoldResult> grouped{sizes[0], l.index(groups),
                                    l.floorDiv(sizes[1], l.index(groups))};
  llvm::append_range(grouped, ArrayRef(sizes).drop_front(2));
  Value x = l.reshape(l.castElements(l.in(0), acc), grouped);
  int64_t rank = grouped.size();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(2, rank));
  Moments moments;
  Value centered = center(l, x, axes, l.getFloat("epsilon", 1e-5), moments);
  Value y = l.reshape(scaleBy(l, centered, moments.inverse, axes, acc), sizes);
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(rank - 1),
                              channelMap(l, rank - 1), channelMap(l, rank - 1)};
  return l.done(l.pointwise(
      {y, l.in(1), l.in(2)}, maps, sizes, l.outElem(),
      [](Scalars &s, ValueRange v) { return s.add(s.mul(v[0], v[1]), v[2]); }));
}

//===----------------------------------------------------------------------===//
// Batch, local response and Lp normalization
//===----------------------------------------------------------------------===//

/// With statistics that are given (inference), or those of the batch.
static LogicalResult lowerBatchNormalization(OpLowering &l) {
  int64_t rank = l.inRank(0);
  Type acc = stashType(l);
  double epsilon = l.getFloat("epsilon", 1e-5);
  bool training = l.getInt("training_mode", 0) != 0;
  Value x = l.in(0), mean = l.in(3), variance = l.in(4);
  l.results.assign(l.op->getNumResults(), Value());
  if (training) {
    SmallVector<int64_t> axes;
    for (int64_t d = 0; d < rank; ++d)
      if (d != 1)
        axes.push_back(d);
    x = l.castElements(x, acc);
    Value batchMean = meanOver(l, x, axes);
    Value squares =
        l.mapReduced(x, batchMean, axes, acc, [](Scalars &s, ValueRange v) {
          Value difference = s.sub(v[0], v[1]);
          return s.mul(difference, difference);
        });
    Value batchVariance = meanOver(l, squares, axes);
    double momentum = l.getFloat("momentum", 0.9);
    auto blend = [&](Value old, Value now, unsigned i) {
      if (l.hasResult(i))
        l.results[i] =
            l.map({old, now}, l.outElem(i), [&](Scalars &s, ValueRange v) {
              Type type = v[0].getType();
              Value kept = s.mul(v[0], s.constant(type, momentum));
              Value fresh = s.cast(v[1], type, false, false);
              fresh = s.mul(fresh, s.constant(type, 1 - momentum));
              return s.add(kept, fresh);
            });
    };
    blend(mean, batchMean, 1);
    blend(variance, batchVariance, 2);
    mean = batchMean;
    variance = batchVariance;
  }
  // As scale and shift, which are computed once per channel.
  auto castIn = [&](Scalars &s, Value v) {
    return s.cast(v, acc, false, false);
  };
  Value scale = l.map({l.in(1), variance}, acc, [&](Scalars &s, ValueRange v) {
    Value shifted = s.add(castIn(s, v[1]), s.constant(acc, epsilon));
    return s.div(castIn(s, v[0]), s.sqrt(shifted));
  });
  AffineMap channels = channelMap(l, rank, rank > 1 ? 1 : 0);
  SmallVector<AffineMap> maps(4, channels);
  maps[0] = l.b.getMultiDimIdentityMap(rank);
  l.results[0] = l.pointwise(
      {x, mean, scale, l.in(2)}, maps, l.sizes(x), l.outElem(),
      [&](Scalars &s, ValueRange v) {
        Value centered = s.sub(castIn(s, v[0]), castIn(s, v[1]));
        return s.add(s.mul(centered, castIn(s, v[2])), castIn(s, v[3]));
      });
  return success();
}

/// x / (bias + alpha / size * sum of squares of neighbour channels)^beta.
static LogicalResult lowerLRN(OpLowering &l) {
  Value x = l.in(0);
  int64_t rank = l.inRank(0), size = l.getInt("size", 1);
  double alpha = l.getFloat("alpha", 1e-4), beta = l.getFloat("beta", 0.75);
  double bias = l.getFloat("bias", 1);
  Type elem = l.outElem(), acc = computeType(elem);
  Value squares =
      l.map(x, acc, [](Scalars &s, ValueRange v) { return s.mul(v[0], v[0]); });
  SmallVector<OpFoldResult> low(rank, l.index(0)), high(rank, l.index(0));
  low[1] = l.index((size - 1) / 2);
  high[1] = l.index(size - 1 - (size - 1) / 2);
  Value padded = l.pad(squares, low, high, l.scalars().constant(acc, 0));
  // A window over channels: out[c] = sum of padded[c .. c + size).
  SmallVector<AffineExpr> window;
  for (int64_t d = 0; d < rank; ++d)
    window.push_back(l.b.getAffineDimExpr(d));
  window[1] = window[1] + l.b.getAffineDimExpr(rank);
  MLIRContext *ctx = l.b.getContext();
  SmallVector<AffineMap> maps{
      AffineMap::get(rank + 1, 0, window, ctx),
      AffineMap::get(rank + 1, 0, l.b.getAffineDimExpr(rank), ctx),
      l.b.getMultiDimIdentityMap(rank + 1).getMajorSubMap(rank)};
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  Value init = l.filled(l.sizes(x), l.scalars().constant(acc, 0));
  Value extent = l.empty(l.index(size), acc);
  Value sums = linalg::GenericOp::create(
                   l.b, l.loc, init.getType(), ValueRange{padded, extent}, init,
                   maps, iterators,
                   [](OpBuilder &b, Location loc, ValueRange args) {
                     Scalars s{b, loc};
                     linalg::YieldOp::create(b, loc, s.add(args[2], args[0]));
                   })
                   .getResult(0);
  return l.done(l.map({x, sums}, elem, [&](Scalars &s, ValueRange v) {
    Value scaled = s.mul(v[1], s.constant(acc, alpha / size));
    Value base = s.add(s.constant(acc, bias), scaled);
    Value power = math::PowFOp::create(s.b, s.loc, base, s.constant(acc, beta));
    return s.div(v[0], power);
  }));
}

static LogicalResult lowerLpNormalization(OpLowering &l) {
  Value x = l.in(0);
  int64_t axis = l.getAxis("axis", -1, l.inRank(0));
  bool squares = l.getInt("p", 2) == 2;
  Type elem = l.outElem(), acc = computeType(elem);
  Value norm = l.reduce(
      x, axis, l.scalars().constant(acc, 0), [&](Scalars &s, ValueRange v) {
        return s.add(v[1], squares ? s.mul(v[0], v[0]) : s.abs(v[0]));
      });
  return l.done(
      l.mapReduced(x, norm, axis, elem, [&](Scalars &s, ValueRange v) {
        Value root = squares ? s.sqrt(v[1]) : v[1];
        // A row of zeros stays zero.
        Value zero = s.constant(root.getType(), 0);
        return s.select(s.eq(root, zero), zero, s.div(v[0], root));
      }));
}

static LogicalResult lowerMeanVarianceNormalization(OpLowering &l) {
  Type acc = stashType(l);
  SmallVector<int64_t> axes =
      normalizeAxes(l.getInts("axes", {0, 2, 3}), l.inRank(0));
  Value x = l.castElements(l.in(0), acc);
  Value mean = meanOver(l, x, axes);
  Value centered =
      l.mapReduced(x, mean, axes, acc,
                   [](Scalars &s, ValueRange v) { return s.sub(v[0], v[1]); });
  Value squares = l.map(centered, acc, [](Scalars &s, ValueRange v) {
    return s.mul(v[0], v[0]);
  });
  return l.done(l.mapReduced(centered, meanOver(l, squares, axes), axes,
                             l.outElem(), [&](Scalars &s, ValueRange v) {
                               Value deviation =
                                   s.add(s.sqrt(v[1]), s.constant(acc, 1e-9));
                               return s.div(v[0], deviation);
                             }));
}

void addNormalization(LowerTable &table) {
  table["onnx.Softmax"] = lowerSoftmax;
  table["onnx.LogSoftmax"] = lowerLogSoftmax;
  table["onnx.Hardmax"] = lowerHardmax;
  table["onnx.LayerNormalization"] = lowerLayerNormalization;
  table["onnx.RMSNormalization"] = lowerRMSNormalization;
  table["onnx.InstanceNormalization"] = lowerInstanceNormalization;
  table["onnx.GroupNormalization"] = lowerGroupNormalization;
  table["onnx.BatchNormalization"] = lowerBatchNormalization;
  table["onnx.LRN"] = lowerLRN;
  table["onnx.LpNormalization"] = lowerLpNormalization;
  table["onnx.MeanVarianceNormalization"] = lowerMeanVarianceNormalization;
}

} // namespace nibble::onnx_to_linalg
