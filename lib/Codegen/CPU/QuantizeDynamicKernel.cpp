//===- QuantizeDynamicKernel.cpp - Codes of rows of floats ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/IntegerKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "nibble/Quantizer/Activations.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
/// Floats of a long row that a task takes.
constexpr int64_t chunkSize = 1 << 14;

class QuantizeDynamicEmitter {
public:
  QuantizeDynamicEmitter(KernelBuilder &kernel, bool isUnsigned,
                         const QuantizeDynamicArguments &arguments)
      : kb(kernel), isUnsigned(isUnsigned), args(arguments) {}

  void emit();

private:
  /// The larger magnitude; NaNs do not count.
  Value larger(Value x, Value most) {
    x = math::AbsFOp::create(kb.b, kb.loc, x);
    Value above =
        arith::CmpFOp::create(kb.b, kb.loc, arith::CmpFPredicate::OGT, x, most);
    return arith::SelectOp::create(kb.b, kb.loc, above, x, most);
  }
  Value absMax(Index begin, Index end);
  Value scaleOf(Value most);
  void quantize(Index begin, Index end, Value scale);
  Value codesOf(Value x, Value scale);
  void forChunks(function_ref<void(Index, Index, Index, Index)> body);

  KernelBuilder &kb;
  bool isUnsigned;
  const QuantizeDynamicArguments &args;
  Index chunks, units, tasks;
};

} // namespace

/// `body(unit, row, begin, end)` for the pieces of all rows.
void QuantizeDynamicEmitter::forChunks(
    function_ref<void(Index, Index, Index, Index)> body) {
  kb.parallelRanges(units, tasks, [&](Index lo, Index hi) {
    kb.forLoop(lo, hi, 1, [&](Index unit) {
      Index row = unit / chunks, chunk = unit % chunks;
      // Whole vectors, so that only the last piece has a rest.
      Index vectors = args.k / lanes;
      Index begin = chunk * vectors / chunks * kb.index(lanes);
      Index next = (chunk + 1) * vectors / chunks * kb.index(lanes);
      Value isLast = kb.le(chunks, chunk + 1);
      Index end = kb.index(kb.b.createOrFold<arith::SelectOp>(
          kb.loc, isLast, Value(args.k), Value(next)));
      body(unit, row, row * args.k + begin, row * args.k + end);
    });
  });
}

void QuantizeDynamicEmitter::emit() {
  chunks = max(min(args.k / chunkSize, 64), 1);
  units = args.rows * chunks;
  tasks = kb.tasksFor(args.rows * args.k / 2, units);
  kb.ifThenElse(
      kb.le(chunks, kb.index(1)),
      [&] {
        forChunks([&](Index, Index row, Index begin, Index end) {
          Value scale = scaleOf(absMax(begin, end));
          kb.store(scale, args.scales, row);
          quantize(begin, end, scale);
        });
      },
      [&] {
        // Long rows: pieces of them have a maximum each.
        auto type = MemRefType::get({ShapedType::kDynamic}, kb.b.getF32Type());
        Value most = memref::AllocOp::create(
            kb.b, kb.loc, type, ValueRange{units}, kb.b.getI64IntegerAttr(64));
        forChunks([&](Index unit, Index, Index begin, Index end) {
          kb.store(absMax(begin, end), most, unit);
        });
        kb.forLoop(kb.index(0), args.rows, 1, [&](Index row) {
          Values all =
              kb.forLoop(kb.index(0), chunks, 1, Values{kb.f32(0)},
                         [&](Index chunk, ValueRange iter) {
                           return Values{larger(
                               kb.load(most, row * chunks + chunk), iter[0])};
                         });
          kb.store(scaleOf(all[0]), args.scales, row);
        });
        forChunks([&](Index, Index row, Index begin, Index end) {
          quantize(begin, end, kb.load(args.scales, row));
        });
        memref::DeallocOp::create(kb.b, kb.loc, most);
      });
}

Value QuantizeDynamicEmitter::absMax(Index begin, Index end) {
  constexpr int64_t unroll = 4;
  Index middle = begin + (end - begin) / lanes * lanes;
  Index blocks = begin + (end - begin) / (unroll * lanes) * (unroll * lanes);
  Values most =
      kb.forLoop(begin, blocks, unroll * lanes, Values(unroll, kb.zeros()),
                 [&](Index i, ValueRange iter) {
                   Values next;
                   for (int64_t u = 0; u < unroll; ++u)
                     next.push_back(larger(
                         kb.loadVector(args.input, i + u * lanes), iter[u]));
                   return next;
                 });
  for (int64_t u = 1; u < unroll; ++u)
    most[0] = larger(most[u], most[0]);
  most.resize(1);
  most = kb.forLoop(blocks, middle, lanes, most, [&](Index i, ValueRange iter) {
    return Values{larger(kb.loadVector(args.input, i), iter[0])};
  });
  Value all = vector::ReductionOp::create(
      kb.b, kb.loc, vector::CombiningKind::MAXNUMF, most[0]);
  return kb
      .forLoop(middle, end, 1, Values{all},
               [&](Index i, ValueRange iter) {
                 return Values{larger(kb.load(args.input, i), iter[0])};
               })
      .front();
}

Value QuantizeDynamicEmitter::scaleOf(Value most) {
  Value scale = arith::DivFOp::create(kb.b, kb.loc, most,
                                      kb.f32(quantizer::activationSteps));
  Value isZero = arith::CmpFOp::create(kb.b, kb.loc, arith::CmpFPredicate::OEQ,
                                       scale, kb.f32(0));
  return arith::SelectOp::create(
      kb.b, kb.loc, isZero, kb.f32(quantizer::smallestActivationScale), scale);
}

/// Codes as i32, of a float or of a vector of them.
Value QuantizeDynamicEmitter::codesOf(Value x, Value scale) {
  OpBuilder &b = kb.b;
  Location loc = kb.loc;
  auto like = [&](double value) -> Value {
    Value scalar = kb.f32(value);
    return isa<VectorType>(x.getType()) ? kb.splat(scalar) : scalar;
  };
  x = arith::DivFOp::create(b, loc, x, scale);
  auto keep = [&](arith::CmpFPredicate inside, Value bound) {
    Value good = arith::CmpFOp::create(b, loc, inside, x, bound);
    x = arith::SelectOp::create(b, loc, good, x, bound);
  };
  keep(arith::CmpFPredicate::OGT, like(-128));
  keep(arith::CmpFPredicate::OLT, like(127));
  // 1.5 * 2^23 and more: the low byte is the code, rounded half to even.
  x = kb.fadd(x, like(12582912.0 + (isUnsigned ? 128 : 0)));
  Type i32 = isa<VectorType>(x.getType()) ? Type(kb.i32Vector())
                                          : Type(b.getI32Type());
  return arith::BitcastOp::create(b, loc, i32, x);
}

void QuantizeDynamicEmitter::quantize(Index begin, Index end, Value scale) {
  OpBuilder &b = kb.b;
  Index middle = begin + (end - begin) / lanes * lanes;
  Value scales = kb.splat(scale);
  kb.forLoop(begin, middle, lanes, [&](Index i) {
    Value codes = codesOf(kb.loadVector(args.input, i), scales);
    codes =
        arith::TruncIOp::create(b, kb.loc, kb.vectorType(b.getI8Type()), codes);
    kb.storeVector(codes, args.codes, i);
  });
  kb.forLoop(middle, end, 1, [&](Index i) {
    Value code = codesOf(kb.load(args.input, i), scale);
    code = arith::TruncIOp::create(b, kb.loc, b.getI8Type(), code);
    kb.store(code, args.codes, i);
  });
}

void emitQuantizeDynamic(KernelBuilder &kernel, bool isUnsigned,
                         const QuantizeDynamicArguments &arguments) {
  QuantizeDynamicEmitter(kernel, isUnsigned, arguments).emit();
}

} // namespace nibble::codegen
