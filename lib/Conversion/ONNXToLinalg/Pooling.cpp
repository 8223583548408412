//===- Pooling.cpp - Pooling
//--------------------------------------------------===//
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

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

/// SAME_UPPER and SAME_LOWER: ceil(in / stride) outputs, the padding shared
/// by both ends.
static void padSame(OpLowering &l, SpatialDim &d, OpFoldResult extent,
                    bool upper) {
  d.out = l.ceilDiv(d.in, l.index(d.stride));
  OpFoldResult covered =
      l.add(l.mul(l.sub(d.out, l.index(1)), l.index(d.stride)), extent);
  OpFoldResult total = l.max(l.sub(covered, d.in), l.index(0));
  OpFoldResult less = l.floorDiv(total, l.index(2));
  OpFoldResult more = l.sub(total, less);
  d.low = upper ? less : more;
  d.high = upper ? more : less;
}

/// The number of windows; with `ceil_mode` a window may reach over the end,
/// but none starts in the padding there.
static OpFoldResult countWindows(OpLowering &l, const SpatialDim &d,
                                 OpFoldResult extent, bool ceilMode) {
  OpFoldResult stride = l.index(d.stride);
  OpFoldResult span = l.sub(l.add(l.add(d.in, d.low), d.high), extent);
  if (!ceilMode)
    return l.add(l.floorDiv(span, stride), l.index(1));
  OpFoldResult count = l.add(l.ceilDiv(span, stride), l.index(1));
  OpFoldResult startable = l.ceilDiv(l.add(d.in, d.low), stride);
  return l.min(count, startable);
}

FailureOr<SmallVector<SpatialDim>>
readSpatialDims(OpLowering &l, Value input, ArrayRef<OpFoldResult> kernel) {
  int64_t rank = kernel.size();
  SmallVector<int64_t> ones(rank, 1), zeros(2 * rank, 0);
  SmallVector<int64_t> strides = l.getInts("strides", ones);
  SmallVector<int64_t> dilations = l.getInts("dilations", ones);
  SmallVector<int64_t> pads = l.getInts("pads", zeros);
  StringRef autoPad = l.getString("auto_pad", "NOTSET");
  bool ceilMode = l.getInt("ceil_mode", 0) != 0;
  if (static_cast<int64_t>(strides.size()) != rank ||
      static_cast<int64_t>(dilations.size()) != rank ||
      static_cast<int64_t>(pads.size()) != 2 * rank)
    return l.fail("strides, dilations and pads do not fit " + Twine(rank) +
                  " spatial dimensions");
  SmallVector<SpatialDim> dims;
  for (int64_t i = 0; i < rank; ++i) {
    SpatialDim d;
    d.in = l.size(input, i + 2);
    d.kernel = kernel[i];
    d.stride = strides[i];
    d.dilation = dilations[i];
    OpFoldResult extent = l.add(
        l.mul(l.sub(d.kernel, l.index(1)), l.index(d.dilation)), l.index(1));
    if (autoPad.starts_with("SAME")) {
      padSame(l, d, extent, autoPad == "SAME_UPPER");
    } else {
      d.low = l.index(autoPad == "VALID" ? 0 : pads[i]);
      d.high = l.index(autoPad == "VALID" ? 0 : pads[i + rank]);
      d.out = countWindows(l, d, extent, ceilMode);
    }
    if (auto c = getConstantIntValue(d.out); c && *c < 0)
      return l.fail("the kernel is larger than the padded input");
    OpFoldResult covered =
        l.add(l.mul(l.sub(d.out, l.index(1)), l.index(d.stride)), extent);
    d.highToFit = l.max(l.sub(l.sub(covered, d.in), d.low), d.high);
    dims.push_back(d);
  }
  return dims;
}

static SmallVector<OpFoldResult> kernelShape(OpLowering &l) {
  SmallVector<OpFoldResult> kernel;
  for (int64_t k : l.getInts("kernel_shape"))
    kernel.push_back(l.index(k));
  return kernel;
}

Value padSpatial(OpLowering &l, Value x, ArrayRef<SpatialDim> dims,
                 Value scalar) {
  SmallVector<OpFoldResult> low(2, l.index(0)), high(2, l.index(0));
  for (const SpatialDim &d : dims) {
    low.push_back(d.low);
    high.push_back(d.highToFit);
  }
  return l.pad(x, low, high, scalar);
}

namespace {
/// Iterates (n, c, out..., kernel...), reading input and the window's extent.
struct WindowLoops {
  WindowLoops(OpLowering &l, ArrayRef<SpatialDim> dims, Value input)
      : rank(dims.size()) {
    MLIRContext *ctx = l.b.getContext();
    auto d = [&](int64_t i) { return getAffineDimExpr(i, ctx); };
    SmallVector<AffineExpr> in{d(0), d(1)}, window, out{d(0), d(1)};
    SmallVector<OpFoldResult> kernel;
    outSizes = {l.size(input, 0), l.size(input, 1)};
    for (int64_t i = 0; i < rank; ++i) {
      AffineExpr o = d(2 + i), t = d(2 + rank + i);
      in.push_back(o * dims[i].stride + t * dims[i].dilation);
      window.push_back(t);
      out.push_back(o);
      kernel.push_back(dims[i].kernel);
      outSizes.push_back(dims[i].out);
    }
    int64_t loops = 2 + 2 * rank;
    inputMap = AffineMap::get(loops, 0, in, ctx);
    windowMap = AffineMap::get(loops, 0, window, ctx);
    outMap = AffineMap::get(loops, 0, out, ctx);
    iterators.assign(2 + rank, utils::IteratorType::parallel);
    iterators.append(rank, utils::IteratorType::reduction);
    extent = l.empty(kernel, l.b.getI8Type());
  }

  int64_t rank;
  AffineMap inputMap, windowMap, outMap;
  SmallVector<OpFoldResult> outSizes;
  SmallVector<utils::IteratorType> iterators;
  /// Carries the kernel sizes; its elements are not read.
  Value extent;
};
} // namespace

/// Folds every window of `padded` with fn(element, accumulator).
static Value foldWindows(OpLowering &l, Value padded, const WindowLoops &w,
                         Value init, ScalarFn fn, bool isUnsigned) {
  Value out = l.filled(w.outSizes, init);
  return linalg::GenericOp::create(
             l.b, l.loc, out.getType(), ValueRange{padded, w.extent}, out,
             ArrayRef<AffineMap>{w.inputMap, w.windowMap, w.outMap},
             w.iterators,
             [&](OpBuilder &b, Location loc, ValueRange args) {
               Scalars s{b, loc, isUnsigned};
               Value x = args[0];
               if (isa<FloatType>(x.getType()))
                 x = s.cast(x, init.getType(), false, false);
               linalg::YieldOp::create(b, loc, fn(s, {x, args[2]}));
             })
      .getResult(0);
}

//===----------------------------------------------------------------------===//
// MaxPool
//===----------------------------------------------------------------------===//

/// Values and their positions in the flattened input.
static void maxPoolWithIndices(OpLowering &l, Value padded,
                               ArrayRef<SpatialDim> dims, const WindowLoops &w,
                               Value lowest) {
  bool columnMajor = l.getInt("storage_order", 0) != 0;
  bool isUnsigned = l.inUnsigned(0);
  Type i64 = l.b.getI64Type();
  Value values = l.filled(w.outSizes, lowest);
  Value indices = l.filled(w.outSizes, l.scalars().integer(i64, 0));
  SmallVector<Value> low, in;
  for (const SpatialDim &d : dims) {
    low.push_back(l.value(d.low));
    in.push_back(l.value(d.in));
  }
  Value channels = l.value(w.outSizes[1]);
  auto generic = linalg::GenericOp::create(
      l.b, l.loc, TypeRange{values.getType(), indices.getType()},
      ValueRange{padded, w.extent}, ValueRange{values, indices},
      ArrayRef<AffineMap>{w.inputMap, w.windowMap, w.outMap, w.outMap},
      w.iterators, [&](OpBuilder &b, Location loc, ValueRange args) {
        Scalars s{b, loc, isUnsigned};
        auto index = [&](int64_t d) -> Value {
          return linalg::IndexOp::create(b, loc, d);
        };
        auto constant = [&](int64_t c) {
          return s.integer(b.getIndexType(), c);
        };
        Value plane = s.add(s.mul(index(0), channels), index(1));
        SmallVector<Value> at;
        for (int64_t i = 0; i < w.rank; ++i) {
          Value o = s.mul(index(2 + i), constant(dims[i].stride));
          Value t = s.mul(index(2 + w.rank + i), constant(dims[i].dilation));
          at.push_back(s.sub(s.add(o, t), low[i]));
        }
        Value planeSize = constant(1), inPlane = constant(0);
        for (Value n : in)
          planeSize = s.mul(planeSize, n);
        for (int64_t i = 0; i < w.rank; ++i) {
          int64_t d = columnMajor ? w.rank - 1 - i : i;
          inPlane = s.add(s.mul(inPlane, in[d]), at[d]);
        }
        Value flat = s.add(s.mul(plane, planeSize), inPlane);
        Value better = s.lt(args[2], args[0]);
        linalg::YieldOp::create(
            b, loc,
            ValueRange{s.select(better, args[0], args[2]),
                       s.select(better, s.fromIndex(flat, i64), args[3])});
      });
  l.results = {generic.getResult(0), generic.getResult(1)};
}

static LogicalResult lowerMaxPool(OpLowering &l) {
  auto dims = readSpatialDims(l, l.in(0), kernelShape(l));
  if (failed(dims))
    return failure();
  bool isUnsigned = l.inUnsigned(0);
  Value lowest = l.scalars(isUnsigned).lowest(l.inElem(0));
  Value padded = padSpatial(l, l.in(0), *dims, lowest);
  WindowLoops w(l, *dims, l.in(0));
  if (l.hasResult(1)) {
    maxPoolWithIndices(l, padded, *dims, w, lowest);
    return success();
  }
  l.results.assign(l.op->getNumResults(), Value());
  l.results[0] = foldWindows(
      l, padded, w, lowest,
      [](Scalars &s, ValueRange v) { return s.max(v[1], v[0]); }, isUnsigned);
  return success();
}

//===----------------------------------------------------------------------===//
// AveragePool, LpPool
//===----------------------------------------------------------------------===//

/// How many taps of the window at output `o` lie in [first, end).
static Value countTaps(Scalars &s, const SpatialDim &d, Value o, Value low,
                       Value kernel, Value first, Value end) {
  auto constant = [&](int64_t c) { return s.integer(o.getType(), c); };
  Value start = s.sub(s.mul(o, constant(d.stride)), low);
  auto tapsBefore = [&](Value bound) -> Value {
    // The taps t with start + t * dilation < bound.
    Value distance = s.max(s.sub(bound, start), constant(0));
    Value taps = d.dilation == 1
                     ? distance
                     : Value(arith::CeilDivUIOp::create(s.b, s.loc, distance,
                                                        constant(d.dilation)));
    return s.min(taps, kernel);
  };
  return s.sub(tapsBefore(end), tapsBefore(first));
}

static LogicalResult lowerAveragePool(OpLowering &l) {
  auto dims = readSpatialDims(l, l.in(0), kernelShape(l));
  if (failed(dims))
    return failure();
  bool includePad = l.getInt("count_include_pad", 0) != 0;
  Type elem = l.outElem(), acc = computeType(elem);
  WindowLoops w(l, *dims, l.in(0));
  std::optional<DequantizedInput> bytes = getDequantizedInput(l, 0);
  Value sums;
  if (bytes) {
    // Integers are summed as they are, padding has the code of zero.
    Scalars s = l.scalars();
    Type i32 = l.b.getI32Type();
    Value padding = s.cast(bytes->zero, l.b.getI8Type(), false, false);
    sums = foldWindows(
        l, padSpatial(l, bytes->codes, *dims, padding), w, s.integer(i32, 0),
        [&](Scalars &s, ValueRange v) {
          return s.add(v[1], s.cast(v[0], i32, bytes->isUnsigned, false));
        },
        false);
  } else {
    sums = foldWindows(
        l, padSpatial(l, l.in(0), *dims, l.scalars().constant(l.inElem(0), 0)),
        w, l.scalars().constant(acc, 0),
        [](Scalars &s, ValueRange v) { return s.add(v[1], v[0]); }, false);
  }

  auto isZero = [](OpFoldResult x) { return getConstantIntValue(x) == 0; };
  bool unpadded = llvm::all_of(*dims, [&](const SpatialDim &d) {
    return isZero(d.low) && isZero(d.highToFit);
  });
  SmallVector<OpFoldResult> kernel;
  SmallVector<Value> low, kernels, firsts, ends;
  for (const SpatialDim &d : *dims) {
    kernel.push_back(d.kernel);
    low.push_back(l.value(d.low));
    kernels.push_back(l.value(d.kernel));
    firsts.push_back(
        l.value(includePad ? l.sub(l.index(0), d.low) : l.index(0)));
    ends.push_back(l.value(includePad ? l.add(d.in, d.high) : d.in));
  }
  Value full = l.scalars().fromIndex(l.value(l.product(kernel)), acc);
  Value zeros;
  if (bytes) {
    Value taps =
        l.scalars().fromIndex(l.value(l.product(kernel)), l.b.getI32Type());
    zeros = l.scalars().mul(bytes->zero, taps);
  }
  return l.done(l.map(sums, elem, [&](Scalars &s, ValueRange v) {
    Value sum = v[0];
    if (bytes)
      sum = s.mul(s.cast(s.sub(sum, zeros), acc, false, false), bytes->scale);
    if (unpadded)
      return s.div(sum, full);
    Value count = s.integer(s.b.getIndexType(), 1);
    for (auto [i, d] : llvm::enumerate(*dims)) {
      Value o = linalg::IndexOp::create(s.b, s.loc, 2 + i);
      count = s.mul(count,
                    countTaps(s, d, o, low[i], kernels[i], firsts[i], ends[i]));
    }
    return s.div(sum, s.fromIndex(count, acc));
  }));
}

/// |x|^p and its root, with the usual p spelled out.
static Value powerOf(Scalars &s, Value x, double p) {
  if (p == 1)
    return x;
  if (p == 2)
    return s.mul(x, x);
  return math::PowFOp::create(s.b, s.loc, x, s.constant(x.getType(), p));
}

static Value rootOf(Scalars &s, Value x, double p) {
  if (p == 1)
    return x;
  if (p == 2)
    return s.sqrt(x);
  return math::PowFOp::create(s.b, s.loc, x, s.constant(x.getType(), 1 / p));
}

static LogicalResult lowerLpPool(OpLowering &l) {
  auto dims = readSpatialDims(l, l.in(0), kernelShape(l));
  if (failed(dims))
    return failure();
  double p = l.getInt("p", 2);
  Type elem = l.outElem(), acc = computeType(elem);
  Value padded =
      padSpatial(l, l.in(0), *dims, l.scalars().constant(l.inElem(0), 0));
  WindowLoops w(l, *dims, l.in(0));
  Value sums = foldWindows(
      l, padded, w, l.scalars().constant(acc, 0),
      [&](Scalars &s, ValueRange v) {
        return s.add(v[1], powerOf(s, s.abs(v[0]), p));
      },
      false);
  return l.done(l.map(sums, elem, [&](Scalars &s, ValueRange v) {
    return rootOf(s, v[0], p);
  }));
}

//===----------------------------------------------------------------------===//
// Global pooling
//===----------------------------------------------------------------------===//

static LogicalResult lowerGlobal(OpLowering &l, bool isMax, double p) {
  Value x = l.in(0);
  SmallVector<int64_t> axes =
      llvm::to_vector(llvm::seq<int64_t>(2, l.inRank(0)));
  Type elem = l.outElem(), acc = computeType(elem);
  Scalars s = l.scalars();
  Value folded =
      l.reduce(x, axes, isMax ? s.lowest(acc) : s.constant(acc, 0),
               [&](Scalars &s, ValueRange v) {
                 if (isMax)
                   return s.max(v[1], v[0]);
                 return s.add(v[1], p == 0 ? v[0] : powerOf(s, s.abs(v[0]), p));
               });
  OpFoldResult count = l.index(1);
  for (int64_t axis : axes)
    count = l.mul(count, l.size(x, axis));
  Value n = s.fromIndex(l.value(count), acc);
  Value y = l.map(folded, elem, [&](Scalars &s, ValueRange v) {
    if (isMax)
      return v[0];
    return p == 0 ? s.div(v[0], n) : rootOf(s, v[0], p);
  });
  return l.done(l.unsqueeze(y, axes));
}

static LogicalResult lowerGlobalAveragePool(OpLowering &l) {
  return lowerGlobal(l, /*isMax=*/false, /*p=*/0);
}

static LogicalResult lowerGlobalMaxPool(OpLowering &l) {
  return lowerGlobal(l, /*isMax=*/true, /*p=*/0);
}

static LogicalResult lowerGlobalLpPool(OpLowering &l) {
  return lowerGlobal(l, /*isMax=*/false, l.getInt("p", 2));
}

void addPooling(LowerTable &table) {
  table["onnx.MaxPool"] = lowerMaxPool;
  table["onnx.AveragePool"] = lowerAveragePool;
  table["onnx.LpPool"] = lowerLpPool;
  table["onnx.GlobalAveragePool"] = lowerGlobalAveragePool;
  table["onnx.GlobalMaxPool"] = lowerGlobalMaxPool;
  table["onnx.GlobalLpPool"] = lowerGlobalLpPool;
}

} // namespace nibble::onnx_to_linalg
