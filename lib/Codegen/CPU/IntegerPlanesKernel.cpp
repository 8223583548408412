//===- IntegerPlanesKernel.cpp - Convolution with small groups ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/IntegerKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
/// Filters of up to this many weights stay in registers.
constexpr int64_t heldWeights = 9;
/// Tasks, and so padded buffers, that a convolution has at most.
constexpr int64_t maxTasks = 64;

class PlanesEmitter {
public:
  PlanesEmitter(KernelBuilder &kernel, const IntegerConvSpec &spec,
                ArrayRef<int64_t> padBegin, int64_t groupIn,
                const IntegerPlanesArguments &arguments)
      : kb(kernel), spec(spec), padBegin(padBegin), args(arguments),
        dot(kernel), stage(kernel, spec.stage, args.operands),
        taps(spec.kernel[0] * spec.kernel[1] * spec.kernel[2]),
        filterSize(groupIn * taps) {}

  void emit();

private:
  void pad(Index firstPlane, Value fill, Index to);
  void copyLine(Index from, Index to, Index count);
  void fillLine(Value code, Index to, Index count);
  /// Weight `i` of the filter at `filterAt` minus its zero point, in all lanes.
  Value loadWeight(Index filterAt, Index i, Value zero);
  Value multiply(Index at, Value weight, Value sum);
  void emitPlane(Index image, Index channel, Index padded);

  KernelBuilder &kb;
  const IntegerConvSpec &spec;
  ArrayRef<int64_t> padBegin;
  const IntegerPlanesArguments &args;
  QuadDot dot;
  IntegerStage stage;
  int64_t taps, filterSize;
  Index paddedPlane;
  Value buffer;
};

Value flip(KernelBuilder &kb, Value codes, bool isSigned) {
  if (!isSigned)
    return codes;
  TypedAttr sign = kb.b.getI8IntegerAttr(-128);
  if (auto type = dyn_cast<VectorType>(codes.getType()))
    sign = DenseElementsAttr::get(type, Attribute(sign));
  return arith::XOrIOp::create(kb.b, kb.loc, codes,
                               arith::ConstantOp::create(kb.b, kb.loc, sign));
}

} // namespace

void PlanesEmitter::copyLine(Index from, Index to, Index count) {
  bool isSigned = spec.stage.signedInput;
  Index middle = count / lanes * lanes;
  kb.forLoop(kb.index(0), middle, lanes, [&](Index x) {
    kb.storeVector(flip(kb, kb.loadVector(args.input, from + x), isSigned),
                   buffer, to + x);
  });
  if (kb.target.avx512) {
    Value mask = kb.maskBelow(count - middle);
    Value codes = kb.loadMasked(args.input, from + middle, mask);
    kb.storeMasked(flip(kb, codes, isSigned), buffer, to + middle, mask);
    return;
  }
  // Bytes under a mask would be moved one by one anyway.
  kb.forLoop(middle, count, 1, [&](Index x) {
    kb.store(flip(kb, kb.load(args.input, from + x), isSigned), buffer, to + x);
  });
}

void PlanesEmitter::fillLine(Value code, Index to, Index count) {
  Index middle = count / lanes * lanes;
  Value codes = kb.splat(code);
  kb.forLoop(kb.index(0), middle, lanes,
             [&](Index x) { kb.storeVector(codes, buffer, to + x); });
  kb.forLoop(middle, count, 1,
             [&](Index x) { kb.store(code, buffer, to + x); });
}

/// The planes of a group's input, as unsigned codes, with their padding.
void PlanesEmitter::pad(Index firstPlane, Value fill, Index to) {
  Index zero = kb.index(0), width = args.paddedSize[2];
  Index inPlane = args.inSize[0] * args.inSize[1] * args.inSize[2];
  kb.forLoop(zero, args.groupIn, 1, [&](Index c) {
    kb.forLoop(zero, args.paddedSize[0], 1, [&](Index z) {
      kb.forLoop(zero, args.paddedSize[1], 1, [&](Index y) {
        Index line =
            to + c * paddedPlane + (z * args.paddedSize[1] + y) * width;
        Index inZ = z - padBegin[0], inY = y - padBegin[1];
        Value inside = kb.both(kb.le(zero, inY), kb.lt(inY, args.inSize[1]));
        inside = kb.both(inside,
                         kb.both(kb.le(zero, inZ), kb.lt(inZ, args.inSize[0])));
        kb.ifThenElse(
            inside,
            [&] {
              Index begin = kb.index(padBegin[2]);
              Index end = begin + args.inSize[2];
              fillLine(fill, line, begin);
              copyLine((firstPlane + c) * inPlane +
                           (inZ * args.inSize[1] + inY) * args.inSize[2],
                       line + begin, args.inSize[2]);
              fillLine(fill, line + end, width - end);
            },
            [&] { fillLine(fill, line, width); });
      });
    });
  });
}

Value PlanesEmitter::loadWeight(Index filterAt, Index i, Value zero) {
  Type i32 = kb.b.getI32Type();
  Value code = kb.load(args.weight, filterAt + i);
  if (spec.stage.unsignedWeight)
    code = arith::ExtUIOp::create(kb.b, kb.loc, i32, code);
  else
    code = arith::ExtSIOp::create(kb.b, kb.loc, i32, code);
  if (zero)
    code = arith::SubIOp::create(kb.b, kb.loc, code, zero);
  return kb.splat(code);
}

/// Adds the products with the 16 codes from `at` on, `strides[2]` apart.
Value PlanesEmitter::multiply(Index at, Value weight, Value sum) {
  int64_t stride = spec.strides[2];
  Value codes = kb.loadVector(buffer, at, lanes * stride);
  if (stride > 1) {
    SmallVector<int64_t> order;
    for (int64_t i = 0; i < lanes; ++i)
      order.push_back(i * stride);
    codes = vector::ShuffleOp::create(kb.b, kb.loc, codes, codes, order);
  }
  codes = arith::ExtUIOp::create(kb.b, kb.loc, kb.i32Vector(), codes);
  return arith::AddIOp::create(kb.b, kb.loc, sum,
                               dot.multiplyWords(codes, weight));
}

void PlanesEmitter::emitPlane(Index image, Index channel, Index padded) {
  OpBuilder &b = kb.b;
  Index zero = kb.index(0);
  Index filterAt = channel * filterSize;
  Value weightZero;
  if (spec.stage.weightZeros != Extent::None) {
    weightZero =
        kb.load(args.operands.weightZeros,
                spec.stage.weightZeros == Extent::One ? zero : channel);
    Type i32 = b.getI32Type();
    if (spec.stage.unsignedWeight)
      weightZero = arith::ExtUIOp::create(b, kb.loc, i32, weightZero);
    else
      weightZero = arith::ExtSIOp::create(b, kb.loc, i32, weightZero);
  }
  Values held;
  Value sum = kb.splatI32(0);
  if (filterSize <= heldWeights) {
    for (int64_t i = 0; i < filterSize; ++i) {
      held.push_back(loadWeight(filterAt, kb.index(i), weightZero));
      sum = arith::AddIOp::create(b, kb.loc, sum, held.back());
    }
  } else {
    sum = kb.forLoop(zero, kb.index(filterSize), 1, sum,
                     [&](Index i, ValueRange iter) {
                       Value w = loadWeight(filterAt, i, weightZero);
                       return Values{
                           arith::AddIOp::create(b, kb.loc, iter[0], w)};
                     })
              .front();
  }
  IntegerStage::Channels terms = stage.loadChannel(channel, sum);
  IntegerStage::Row row = stage.loadRow(image);

  Index outRows = args.outSize[0] * args.outSize[1], width = args.outSize[2];
  Index plane = (image * args.groups * args.groupOut + channel) * outRows;
  ArrayRef<int64_t> k = spec.kernel, d = spec.dilations, s = spec.strides;
  kb.forLoop(zero, outRows, 1, [&](Index line) {
    Index z = line / args.outSize[1], y = line % args.outSize[1];
    Index from = padded + (z * s[0] * args.paddedSize[1] + y * s[1]) *
                              args.paddedSize[2];
    auto tapAt = [&](Index kd, Index kh, Index kw) {
      return (kd * d[0] * args.paddedSize[1] + kh * d[1]) * args.paddedSize[2] +
             kw * d[2];
    };
    kb.forLoop(zero, width, lanes, [&](Index x) {
      Index at = from + x * s[2];
      Value total = kb.splatI32(0);
      if (!held.empty()) {
        for (int64_t i = 0; i < filterSize; ++i) {
          int64_t tap = i % taps;
          Index offset =
              tapAt(kb.index(tap / (k[1] * k[2])), kb.index(tap / k[2] % k[1]),
                    kb.index(tap % k[2]));
          total = multiply(at + kb.index(i / taps) * paddedPlane + offset,
                           held[i], total);
        }
      } else {
        auto loop = [&](Index end, Value init,
                        function_ref<Value(Index, Value)> body) {
          return kb
              .forLoop(zero, end, 1, init,
                       [&](Index i, ValueRange iter) {
                         return Values{body(i, iter[0])};
                       })
              .front();
        };
        total = loop(args.groupIn, total, [&](Index c, Value t0) {
          Index planeAt = at + c * paddedPlane, weights = c * taps;
          return loop(kb.index(k[0] * k[1]), t0, [&](Index t, Value t1) {
            Index kd = t / k[1], kh = t % kb.index(k[1]);
            return loop(kb.index(k[2]), t1, [&](Index kw, Value t2) {
              Value w =
                  loadWeight(filterAt, weights + t * k[2] + kw, weightZero);
              return multiply(planeAt + tapAt(kd, kh, kw), w, t2);
            });
          });
        });
      }
      stage.store(total, terms, row, (plane + line) * width + x,
                  kb.maskBelow(width - x));
    });
  });
}

void PlanesEmitter::emit() {
  paddedPlane = args.paddedSize[0] * args.paddedSize[1] * args.paddedSize[2];
  Index units = args.batch * args.groups;
  Index work = units * args.groupOut * args.outSize[0] * args.outSize[1] *
               args.outSize[2] * filterSize;
  Index tasks = min(kb.tasksFor(work, units), maxTasks);
  // What the last vector of the last line reads is in the buffer.
  Index size =
      args.groupIn * paddedPlane +
      (2 * lanes * spec.strides[2] + spec.dilations[2] * (spec.kernel[2] - 1));
  auto type = MemRefType::get({ShapedType::kDynamic}, kb.b.getI8Type());
  buffer = memref::AllocOp::create(kb.b, kb.loc, type, ValueRange{tasks * size},
                                   kb.b.getI64IntegerAttr(64));
  kb.parallelRanges(units, tasks, [&](Index lo, Index hi) {
    // The number of this task from the first of its units.
    Index padded = ceilDiv(lo * tasks, max(units, 1)) * size;
    kb.forLoop(lo, hi, 1, [&](Index unit) {
      Index image = unit / args.groups, group = unit % args.groups;
      Value fill =
          loadZeroCode(kb, spec.stage.signedInput, spec.stage.inputZero,
                       args.operands.inputZero, image);
      fill = arith::TruncIOp::create(kb.b, kb.loc, kb.b.getI8Type(), fill);
      pad(unit * args.groupIn, fill, padded);
      kb.forLoop(kb.index(0), args.groupOut, 1, [&](Index c) {
        emitPlane(image, group * args.groupOut + c, padded);
      });
    });
  });
  memref::DeallocOp::create(kb.b, kb.loc, buffer);
}

void emitIntegerPlanesConv(KernelBuilder &kernel, const IntegerConvSpec &spec,
                           ArrayRef<int64_t> padBegin, int64_t groupIn,
                           const IntegerPlanesArguments &arguments) {
  PlanesEmitter(kernel, spec, padBegin, groupIn, arguments).emit();
}

} // namespace nibble::codegen
