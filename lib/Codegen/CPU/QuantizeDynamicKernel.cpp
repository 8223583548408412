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
  QuantizeDynamicEmitter(KernelBuilder &kernel,
                         const QuantizeDynamicArguments &arguments)
      : kb(kernel), args(arguments) {}

  void emit();

private:
  /// What the codes of a row mean: two scalars of type f32 and i32.
  struct Range {
    Value scale, zero;
  };

  Value choose(arith::CmpFPredicate better, Value x, Value y) {
    Value isBetter = arith::CmpFOp::create(kb.b, kb.loc, better, x, y);
    return arith::SelectOp::create(kb.b, kb.loc, isBetter, x, y);
  }
  /// NaNs in `x` do not count.
  Value smaller(Value x, Value least) {
    return choose(arith::CmpFPredicate::OLT, x, least);
  }
  Value larger(Value x, Value most) {
    return choose(arith::CmpFPredicate::OGT, x, most);
  }
  Values bounds(Index begin, Index end);
  void storeRange(Value least, Value most, Index row);
  Range loadRange(Index row);
  void quantize(Index begin, Index end, const Range &range);
  Value round(Value x);
  Value codesOf(Value x, const Range &range);
  void forChunks(function_ref<void(Index, Index, Index, Index)> body);

  KernelBuilder &kb;
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
          Values found = bounds(begin, end);
          storeRange(found[0], found[1], row);
          quantize(begin, end, loadRange(row));
        });
      },
      [&] {
        // Long rows: pieces of them have bounds each.
        auto type = MemRefType::get({ShapedType::kDynamic}, kb.b.getF32Type());
        Value pieces =
            memref::AllocOp::create(kb.b, kb.loc, type, ValueRange{units * 2},
                                    kb.b.getI64IntegerAttr(64));
        forChunks([&](Index unit, Index, Index begin, Index end) {
          Values found = bounds(begin, end);
          kb.store(found[0], pieces, unit * 2);
          kb.store(found[1], pieces, unit * 2 + 1);
        });
        kb.forLoop(kb.index(0), args.rows, 1, [&](Index row) {
          Values all = kb.forLoop(
              kb.index(0), chunks, 1, Values(2, kb.f32(0)),
              [&](Index chunk, ValueRange iter) {
                Index at = (row * chunks + chunk) * 2;
                return Values{smaller(kb.load(pieces, at), iter[0]),
                              larger(kb.load(pieces, at + 1), iter[1])};
              });
          storeRange(all[0], all[1], row);
        });
        forChunks([&](Index, Index row, Index begin, Index end) {
          quantize(begin, end, loadRange(row));
        });
        memref::DeallocOp::create(kb.b, kb.loc, pieces);
      });
}

/// The least and the greatest of 0 and what is in [begin, end).
Values QuantizeDynamicEmitter::bounds(Index begin, Index end) {
  constexpr int64_t unroll = 4;
  Index middle = begin + (end - begin) / lanes * lanes;
  Index blocks = begin + (end - begin) / (unroll * lanes) * (unroll * lanes);
  // The least of each, then the greatest of each.
  Values found =
      kb.forLoop(begin, blocks, unroll * lanes, Values(2 * unroll, kb.zeros()),
                 [&](Index i, ValueRange iter) {
                   Values least, most;
                   for (int64_t u = 0; u < unroll; ++u) {
                     Value x = kb.loadVector(args.input, i + u * lanes);
                     least.push_back(smaller(x, iter[u]));
                     most.push_back(larger(x, iter[unroll + u]));
                   }
                   llvm::append_range(least, most);
                   return least;
                 });
  Values both = {found[0], found[unroll]};
  for (int64_t u = 1; u < unroll; ++u)
    both = {smaller(found[u], both[0]), larger(found[unroll + u], both[1])};
  auto add = [&](Value x, ValueRange iter) {
    return Values{smaller(x, iter[0]), larger(x, iter[1])};
  };
  both = kb.forLoop(blocks, middle, lanes, both, [&](Index i, ValueRange iter) {
    return add(kb.loadVector(args.input, i), iter);
  });
  auto reduce = [&](vector::CombiningKind kind, Value vector) -> Value {
    return vector::ReductionOp::create(kb.b, kb.loc, kind, vector);
  };
  both = {reduce(vector::CombiningKind::MINNUMF, both[0]),
          reduce(vector::CombiningKind::MAXNUMF, both[1])};
  return kb.forLoop(middle, end, 1, both, [&](Index i, ValueRange iter) {
    return add(kb.load(args.input, i), iter);
  });
}

/// 1.5 * 2^23 and more: the low byte is `x`, rounded half to even.
Value QuantizeDynamicEmitter::round(Value x) {
  bool isVector = isa<VectorType>(x.getType());
  Value magic = kb.f32(12582912.0);
  x = kb.fadd(x, isVector ? kb.splat(magic) : magic);
  Type i32 = isVector ? Type(kb.i32Vector()) : Type(kb.b.getI32Type());
  return arith::BitcastOp::create(kb.b, kb.loc, i32, x);
}

void QuantizeDynamicEmitter::storeRange(Value least, Value most, Index row) {
  OpBuilder &b = kb.b;
  Location loc = kb.loc;
  Value steps = kb.f32(quantizer::activationSteps);
  auto divide = [&](Value x, Value y) -> Value {
    return arith::DivFOp::create(b, loc, x, y);
  };
  Value scale =
      arith::SubFOp::create(b, loc, divide(most, steps), divide(least, steps));
  Value isZero = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, scale,
                                       kb.f32(0));
  scale = arith::SelectOp::create(
      b, loc, isZero, kb.f32(quantizer::smallestActivationScale), scale);
  Value below = arith::NegFOp::create(b, loc, least);
  Value zero = smaller(larger(divide(below, scale), kb.f32(0)), steps);
  zero = arith::TruncIOp::create(b, loc, b.getI8Type(), round(zero));
  kb.store(scale, args.scales, row);
  kb.store(zero, args.zeros, row);
}

QuantizeDynamicEmitter::Range QuantizeDynamicEmitter::loadRange(Index row) {
  Value zero = arith::ExtUIOp::create(kb.b, kb.loc, kb.b.getI32Type(),
                                      kb.load(args.zeros, row));
  return {kb.load(args.scales, row), zero};
}

/// Codes as i32, of a float or of a vector of them; `range` likewise.
Value QuantizeDynamicEmitter::codesOf(Value x, const Range &range) {
  OpBuilder &b = kb.b;
  Location loc = kb.loc;
  Value steps = kb.f32(quantizer::activationSteps);
  if (isa<VectorType>(x.getType()))
    steps = kb.splat(steps);
  Value zero = arith::SIToFPOp::create(b, loc, x.getType(), range.zero);
  x = arith::DivFOp::create(b, loc, x, range.scale);
  x = larger(x, arith::NegFOp::create(b, loc, zero));
  x = smaller(x, arith::SubFOp::create(b, loc, steps, zero));
  return arith::AddIOp::create(b, loc, round(x), range.zero);
}

void QuantizeDynamicEmitter::quantize(Index begin, Index end,
                                      const Range &range) {
  OpBuilder &b = kb.b;
  Index middle = begin + (end - begin) / lanes * lanes;
  Range splat = {kb.splat(range.scale), kb.splat(range.zero)};
  kb.forLoop(begin, middle, lanes, [&](Index i) {
    Value codes = codesOf(kb.loadVector(args.input, i), splat);
    codes =
        arith::TruncIOp::create(b, kb.loc, kb.vectorType(b.getI8Type()), codes);
    kb.storeVector(codes, args.codes, i);
  });
  kb.forLoop(middle, end, 1, [&](Index i) {
    Value code = codesOf(kb.load(args.input, i), range);
    code = arith::TruncIOp::create(b, kb.loc, b.getI8Type(), code);
    kb.store(code, args.codes, i);
  });
}

void emitQuantizeDynamic(KernelBuilder &kernel,
                         const QuantizeDynamicArguments &arguments) {
  QuantizeDynamicEmitter(kernel, arguments).emit();
}

} // namespace nibble::codegen
