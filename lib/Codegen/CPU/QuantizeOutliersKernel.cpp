//===- QuantizeOutliersKernel.cpp - Codes without outlier columns ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/OutlierKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "nibble/Quantizer/Outliers.h"
#include "llvm/ADT/bit.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
/// Flags that are looked at together.
constexpr int64_t flagBlock = 64;
/// Rows that share flags: a task takes some of these.
constexpr int64_t unitRows = 32;

class QuantizeOutliersEmitter {
public:
  QuantizeOutliersEmitter(KernelBuilder &kernel, float threshold,
                          const QuantizeOutliersArguments &arguments)
      : kb(kernel), args(arguments), threshold(threshold) {}

  void emit();

private:
  void measureRow(Index row, Index flagsAt);
  void collectColumns();
  void quantizeRow(Index row);

  // Of a scalar or of a vector, whichever `like` is.
  Value constant(Value like, int64_t value) {
    return isa<VectorType>(like.getType())
               ? kb.splatI32(value)
               : arith::ConstantIntOp::create(kb.b, kb.loc, kb.b.getI32Type(),
                                              value);
  }
  Value cast(Type element, Value value) {
    if (auto type = dyn_cast<VectorType>(value.getType()))
      element = kb.vectorType(element, type.getNumElements());
    return arith::BitcastOp::create(kb.b, kb.loc, element, value);
  }
  /// The larger of the magnitudes `most` and those of `x` that are no outliers,
  /// as the bits of floats; `flags` gets ones where there are outliers.
  Value largest(Value x, Value most, Value &flags);
  /// The code of `x`, with 128 added to it.
  Value codeOf(Value x, Value factor);

  KernelBuilder &kb;
  const QuantizeOutliersArguments &args;
  float threshold;
  Index units, flagStride;
  /// Bytes that are 1 for outlier columns, [units][flagStride]; null without a
  /// threshold.
  Value flags;
  /// What the values of a row are multiplied with, [rows].
  Value factors;
};

} // namespace

void QuantizeOutliersEmitter::emit() {
  OpBuilder &b = kb.b;
  units = ceilDiv(args.rows, unitRows);
  Index tasks = kb.tasksFor(args.rows * args.k / 2, units);
  auto allocate = [&](Type element, Index size) -> Value {
    auto type = MemRefType::get({ShapedType::kDynamic}, element);
    return memref::AllocOp::create(b, kb.loc, type, ValueRange{size},
                                   b.getI64IntegerAttr(64));
  };
  factors = allocate(b.getF32Type(), args.rows);
  if (threshold > 0) {
    flagStride = ceilDiv(args.k, flagBlock) * kb.index(flagBlock);
    flags = allocate(b.getI8Type(), units * flagStride);
  }

  auto forRows = [&](function_ref<void(Index, Index)> body,
                     function_ref<void(Index)> beginUnit) {
    kb.parallelRanges(units, tasks, [&](Index lo, Index hi) {
      kb.forLoop(lo, hi, 1, [&](Index unit) {
        Index first = unit * unitRows;
        beginUnit(unit);
        kb.forLoop(first, min(first + unitRows, args.rows), 1,
                   [&](Index row) { body(row, unit); });
      });
    });
  };
  forRows(
      [&](Index row, Index unit) {
        measureRow(row, flags ? unit * flagStride : unit);
      },
      [&](Index unit) {
        if (!flags)
          return;
        auto type = kb.vectorType(b.getI8Type(), flagBlock);
        Value zero = arith::ConstantOp::create(b, kb.loc, b.getZeroAttr(type));
        kb.forLoop(kb.index(0), flagStride, flagBlock, [&](Index i) {
          kb.storeVector(zero, flags, unit * flagStride + i);
        });
      });
  collectColumns();
  forRows([&](Index row, Index) { quantizeRow(row); }, [](Index) {});
  memref::DeallocOp::create(b, kb.loc, factors);
  if (flags)
    memref::DeallocOp::create(b, kb.loc, flags);
}

Value QuantizeOutliersEmitter::largest(Value x, Value most, Value &hits) {
  OpBuilder &b = kb.b;
  // Bits of magnitudes order as the magnitudes do, NaNs above infinity.
  Value bits = cast(b.getI32Type(), x);
  bits = arith::AndIOp::create(b, kb.loc, bits, constant(bits, 0x7fffffff));
  if (flags) {
    int64_t low = llvm::bit_cast<uint32_t>(threshold);
    int64_t infinity = 0x7f800000;
    Value above = arith::SubIOp::create(b, kb.loc, bits, constant(bits, low));
    Value isOutlier =
        arith::CmpIOp::create(b, kb.loc, arith::CmpIPredicate::ule, above,
                              constant(bits, infinity - low));
    bits =
        arith::SelectOp::create(b, kb.loc, isOutlier, constant(bits, 0), bits);
    Type byte = b.getI8Type();
    if (isa<VectorType>(bits.getType()))
      byte = kb.vectorType(byte);
    hits = arith::ExtUIOp::create(b, kb.loc, byte, isOutlier);
  }
  return arith::MaxSIOp::create(b, kb.loc, most, bits);
}

void QuantizeOutliersEmitter::measureRow(Index row, Index flagsAt) {
  OpBuilder &b = kb.b;
  Index begin = row * args.k;
  Index middle = args.k / lanes * kb.index(lanes);
  Value most = kb.forLoop(
      kb.index(0), middle, lanes, Values{kb.splatI32(0)},
      [&](Index i, ValueRange iter) {
        Value hits;
        Value next =
            largest(kb.loadVector(args.input, begin + i), iter[0], hits);
        if (flags) {
          Value before = kb.loadVector(flags, flagsAt + i);
          kb.storeVector(arith::OrIOp::create(b, kb.loc, before, hits), flags,
                         flagsAt + i);
        }
        return Values{next};
      })[0];
  most = vector::ReductionOp::create(b, kb.loc, vector::CombiningKind::MAXSI,
                                     most);
  most = kb.forLoop(
      middle, args.k, 1, Values{most}, [&](Index i, ValueRange iter) {
        Value hit;
        Value next = largest(kb.load(args.input, begin + i), iter[0], hit);
        if (flags) {
          Value before = kb.load(flags, flagsAt + i);
          kb.store(arith::OrIOp::create(b, kb.loc, before, hit), flags,
                   flagsAt + i);
        }
        return Values{next};
      })[0];

  Value absMax = cast(b.getF32Type(), most);
  Value codes = kb.f32(quantizer::outlierCodes);
  kb.store(arith::DivFOp::create(b, kb.loc, absMax, codes), args.scales, row);
  Value isSmall =
      arith::CmpFOp::create(b, kb.loc, arith::CmpFPredicate::OLT, absMax,
                            kb.f32(quantizer::smallestOutlierAbsMax));
  Value inverse = arith::DivFOp::create(b, kb.loc, kb.f32(1.0), absMax);
  Value factor = arith::SelectOp::create(b, kb.loc, isSmall, kb.f32(0),
                                         kb.fmul(inverse, codes));
  kb.store(factor, factors, row);
}

/// The columns that have a flag in any unit, in order.
void QuantizeOutliersEmitter::collectColumns() {
  OpBuilder &b = kb.b;
  Type i32 = b.getI32Type();
  auto store = [&](Value count) {
    kb.store(arith::IndexCastOp::create(b, kb.loc, i32, count), args.count,
             kb.index(0));
  };
  Value zero = kb.index(0);
  if (!flags)
    return store(zero);
  Value found = kb.forLoop(
      kb.index(0), args.k, flagBlock, Values{zero},
      [&](Index block, ValueRange iter) {
        Value any = kb.loadVector(flags, block, flagBlock);
        any = kb.forLoop(kb.index(1), units, 1, Values{any},
                         [&](Index unit, ValueRange inner) {
                           Value more = kb.loadVector(
                               flags, unit * flagStride + block, flagBlock);
                           more =
                               arith::OrIOp::create(b, kb.loc, inner[0], more);
                           return Values{more};
                         })[0];
        // The first unit has those of all.
        kb.storeVector(any, flags, block);
        Value one = vector::ReductionOp::create(
            b, kb.loc, vector::CombiningKind::MAXUI, any);
        Value none = arith::ConstantIntOp::create(b, kb.loc, b.getI8Type(), 0);
        Value isAny = arith::CmpIOp::create(b, kb.loc, arith::CmpIPredicate::ne,
                                            one, none);
        auto append = [&] {
          return kb.forLoop(
              block, min(block + flagBlock, args.k), 1, Values{iter[0]},
              [&](Index i, ValueRange inner) {
                // Stored in any case, and counted if it is one. There is room:
                // no more were counted than were looked at.
                Value column = arith::IndexCastOp::create(b, kb.loc, i32, i);
                kb.store(column, args.columns, kb.index(inner[0]));
                Value flag = arith::IndexCastUIOp::create(
                    b, kb.loc, b.getIndexType(), kb.load(flags, i));
                return Values{kb.index(inner[0]) + kb.index(flag)};
              });
        };
        return kb.ifYield(isAny, append, [&] { return Values{iter[0]}; });
      })[0];
  store(found);
}

Value QuantizeOutliersEmitter::codeOf(Value x, Value factor) {
  OpBuilder &b = kb.b;
  bool isVector = isa<VectorType>(x.getType());
  // 1.5 * 2^23 more: the low byte is the number, rounded half to even. An
  // outlier, whose byte is anything, is overwritten.
  Value magic = kb.f32(12582912.0);
  x = kb.fadd(kb.fenced(kb.fmul(x, factor)),
              isVector ? kb.splat(magic) : magic);
  x = cast(b.getI32Type(), x);
  x = arith::XOrIOp::create(b, kb.loc, x, constant(x, 128));
  Type byte = isVector ? Type(kb.vectorType(b.getI8Type())) : b.getI8Type();
  return arith::TruncIOp::create(b, kb.loc, byte, x);
}

void QuantizeOutliersEmitter::quantizeRow(Index row) {
  OpBuilder &b = kb.b;
  Index begin = row * args.k;
  Index middle = args.k / lanes * kb.index(lanes);
  Value factor = kb.load(factors, row);
  Value splat = kb.splat(factor);
  kb.forLoop(kb.index(0), middle, lanes, [&](Index i) {
    kb.storeVector(codeOf(kb.loadVector(args.input, begin + i), splat),
                   args.codes, begin + i);
  });
  kb.forLoop(middle, args.k, 1, [&](Index i) {
    kb.store(codeOf(kb.load(args.input, begin + i), factor), args.codes,
             begin + i);
  });
  if (!flags)
    return;
  auto toIndex = [&](Value value) {
    return kb.index(
        arith::IndexCastOp::create(b, kb.loc, b.getIndexType(), value)
            .getResult());
  };
  Value zero = arith::ConstantOp::create(b, kb.loc, b.getI8IntegerAttr(-128));
  kb.forLoop(
      kb.index(0), toIndex(kb.load(args.count, kb.index(0))), 1, [&](Index i) {
        kb.store(zero, args.codes, begin + toIndex(kb.load(args.columns, i)));
      });
}

void emitQuantizeOutliers(KernelBuilder &kernel, float threshold,
                          const QuantizeOutliersArguments &arguments) {
  kernel.ifThenElse(
      kernel.lt(kernel.index(0), arguments.rows),
      [&] { QuantizeOutliersEmitter(kernel, threshold, arguments).emit(); },
      [&] {
        OpBuilder &b = kernel.b;
        Value none =
            arith::ConstantIntOp::create(b, kernel.loc, b.getI32Type(), 0);
        kernel.store(none, arguments.count, kernel.index(0));
      });
}

} // namespace nibble::codegen
