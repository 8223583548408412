//===- IntegerPrepare.cpp - Operands as integer kernels read them ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/IntegerKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

static constexpr int64_t lanes = KernelBuilder::lanes;
static constexpr int64_t panelWidth = KernelBuilder::panelWidth;
static constexpr int64_t vectorBytes = 4 * lanes;

/// Signed to unsigned codes and back: adds 128 to a byte or a vector of them.
static Value flipSign(KernelBuilder &kb, Value bytes) {
  TypedAttr sign = kb.b.getI8IntegerAttr(-128);
  if (auto type = dyn_cast<VectorType>(bytes.getType()))
    sign = DenseElementsAttr::get(type, Attribute(sign));
  return arith::XOrIOp::create(kb.b, kb.loc, bytes,
                               arith::ConstantOp::create(kb.b, kb.loc, sign));
}

static Value constantI8(KernelBuilder &kb, int64_t value) {
  return arith::ConstantOp::create(kb.b, kb.loc, kb.b.getI8IntegerAttr(value));
}

static Value addI32(KernelBuilder &kb, Value a, Value b) {
  return arith::AddIOp::create(kb.b, kb.loc, a, b);
}

/// `code`, a byte, as i32.
static Value widen(KernelBuilder &kb, Value code, bool isUnsigned) {
  Type i32 = kb.b.getI32Type();
  if (isUnsigned)
    return arith::ExtUIOp::create(kb.b, kb.loc, i32, code);
  return arith::ExtSIOp::create(kb.b, kb.loc, i32, code);
}

static Value sumLanes(KernelBuilder &kb, Value vector) {
  return vector::ReductionOp::create(kb.b, kb.loc, vector::CombiningKind::ADD,
                                     vector);
}

//===----------------------------------------------------------------------===//
// Rows of the input
//===----------------------------------------------------------------------===//

void emitPrepareRows(KernelBuilder &kb, const PrepareRowsSpec &spec,
                     const PrepareRowsArguments &args) {
  Index tasks = kb.tasksFor(args.rows * args.k / 16, args.rows);
  kb.parallelRanges(args.rows, tasks, [&](Index lo, Index hi) {
    QuadDot dot(kb);
    kb.forLoop(lo, hi, 1, [&](Index row) {
      Index from = row * args.k, to = row * args.stride;
      Index middle = args.k / vectorBytes * vectorBytes;
      Values sums = kb.forLoop(
          kb.index(0), middle, vectorBytes, dot.zeros(),
          [&](Index i, ValueRange iter) {
            Value bytes = kb.loadVector(args.input, from + i, vectorBytes);
            if (spec.flip)
              bytes = flipSign(kb, bytes);
            kb.storeVector(bytes, args.out, to + i);
            if (!spec.sums)
              return Values(iter);
            return dot.add(iter, dot.fromBytes(bytes, true), dot.ones(false));
          });
      Values total = {spec.sums ? sumLanes(kb, dot.finish(sums))
                                : Value(widen(kb, constantI8(kb, 0), true))};
      total =
          kb.forLoop(middle, args.k, 1, total, [&](Index i, ValueRange iter) {
            Value code = kb.load(args.input, from + i);
            if (spec.flip)
              code = flipSign(kb, code);
            kb.store(code, args.out, to + i);
            return Values{addI32(kb, iter[0], widen(kb, code, true))};
          });
      kb.forLoop(args.k, args.stride, 1, [&](Index i) {
        kb.store(constantI8(kb, 0), args.out, to + i);
      });
      if (spec.sums)
        kb.store(total[0], args.outSums, row);
    });
  });
}

//===----------------------------------------------------------------------===//
// Weights that are known at run time only
//===----------------------------------------------------------------------===//

namespace {

class PackEmitter {
public:
  PackEmitter(KernelBuilder &kernel, const PackWeightSpec &spec,
              const PackWeightArguments &arguments)
      : kb(kernel), spec(spec), args(arguments), dot(kernel) {}

  void emit() {
    Index panels = ceilDiv(args.n, panelWidth);
    Index units = args.batch * panels;
    kb.parallelRanges(units,
                      kb.tasksFor(args.n * args.k * args.batch / 8, units),
                      [&](Index lo, Index hi) {
                        kb.forLoop(lo, hi, 1, [&](Index unit) {
                          emitPanel(unit / panels, unit % panels,
                                    unit * args.weightQuads * (4 * panelWidth));
                        });
                      });
  }

private:
  void emitPanel(Index matrix, Index panel, Index to);
  void emitRows(Index matrix, Index column, Index to);
  void emitColumns(Index matrix, Index column, Index to);
  /// Codes of quad `quad` and the channels from `column` on, one by one.
  void emitOneByOne(Index matrix, Index column, Index quad, Index to);
  Index weightAt(Index matrix, Index row, Index column) {
    if (spec.transposed)
      return (matrix * args.n + column) * args.k + row;
    return (matrix * args.k + row) * args.n + column;
  }
  Value signedCodes(Value codes) {
    return spec.isUnsigned ? flipSign(kb, codes) : codes;
  }

  KernelBuilder &kb;
  const PackWeightSpec &spec;
  const PackWeightArguments &args;
  QuadDot dot;
};

} // namespace

void PackEmitter::emitOneByOne(Index matrix, Index column, Index quad,
                               Index to) {
  kb.forLoop(kb.index(0), kb.index(panelWidth), 1, [&](Index c) {
    kb.forLoop(kb.index(0), kb.index(4), 1, [&](Index i) {
      Index row = quad * 4 + i;
      Value exists = kb.both(kb.lt(row, args.k), kb.lt(column + c, args.n));
      Value code =
          kb.ifYield(
                exists,
                [&] {
                  return Values{signedCodes(
                      kb.load(args.weight, weightAt(matrix, row, column + c)))};
                },
                [&] { return Values{constantI8(kb, 0)}; })
              .front();
      kb.store(code, args.out, to + quad * (4 * panelWidth) + c * 4 + i);
    });
  });
}

/// [K, N]: four rows at a time are interleaved.
void PackEmitter::emitColumns(Index matrix, Index column, Index to) {
  Index full = args.k / 4;
  kb.forLoop(kb.index(0), full, 1, [&](Index quad) {
    Values rows;
    for (int64_t i = 0; i < 4; ++i)
      rows.push_back(kb.loadVector(
          args.weight, weightAt(matrix, quad * 4 + i, column), panelWidth));
    auto interleave = [&](Value a, Value b, int64_t first, int64_t count) {
      int64_t size = cast<VectorType>(a.getType()).getNumElements();
      SmallVector<int64_t> order;
      for (int64_t i = first; i < first + count; ++i)
        llvm::append_values(order, i, size + i);
      return vector::ShuffleOp::create(kb.b, kb.loc, a, b, order);
    };
    VectorType words = kb.vectorType(kb.b.getI16Type(), panelWidth);
    VectorType bytes = kb.vectorType(kb.b.getI8Type(), vectorBytes);
    Value low = interleave(rows[0], rows[1], 0, panelWidth);
    Value high = interleave(rows[2], rows[3], 0, panelWidth);
    low = vector::BitCastOp::create(kb.b, kb.loc, words, low);
    high = vector::BitCastOp::create(kb.b, kb.loc, words, high);
    for (int64_t v = 0; v < 2; ++v) {
      Value part = interleave(low, high, v * lanes, lanes);
      part = vector::BitCastOp::create(kb.b, kb.loc, bytes, part);
      kb.storeVector(signedCodes(part), args.out,
                     to + quad * (4 * panelWidth) + v * vectorBytes);
    }
  });
  kb.forLoop(full, args.quads, 1,
             [&](Index quad) { emitOneByOne(matrix, column, quad, to); });
}

/// [N, K]: a quad is already together.
void PackEmitter::emitRows(Index matrix, Index column, Index to) {
  Index full = args.k / 4;
  kb.forLoop(kb.index(0), kb.index(panelWidth), 1, [&](Index c) {
    Index from = weightAt(matrix, kb.index(0), column + c);
    kb.forUnrolled(
        kb.index(0), full, 4, {}, [&](Index quad, int64_t count, ValueRange) {
          for (int64_t i = 0; i < count; ++i) {
            Value codes = kb.loadVector(args.weight, from + (quad + i) * 4, 4);
            kb.storeVector(signedCodes(codes), args.out,
                           to + (quad + i) * (4 * panelWidth) + c * 4);
          }
          return Values();
        });
  });
  kb.forLoop(full, args.quads, 1,
             [&](Index quad) { emitOneByOne(matrix, column, quad, to); });
}

void PackEmitter::emitPanel(Index matrix, Index panel, Index to) {
  Index column = panel * panelWidth;
  kb.ifThenElse(
      kb.le(column + panelWidth, args.n),
      [&] {
        if (spec.transposed)
          emitRows(matrix, column, to);
        else
          emitColumns(matrix, column, to);
      },
      [&] {
        kb.forLoop(kb.index(0), args.quads, 1,
                   [&](Index quad) { emitOneByOne(matrix, column, quad, to); });
      });

  // Sums over (w - zero) of each channel.
  if (!spec.sums)
    return;
  int64_t parts = dot.numParts();
  Values init = dot.zeros();
  llvm::append_range(init, dot.zeros());
  Values sums = kb.forLoop(
      kb.index(0), args.quads, 1, init, [&](Index quad, ValueRange iter) {
        Values next;
        for (int64_t v = 0; v < 2; ++v)
          llvm::append_range(
              next,
              dot.add(iter.slice(v * parts, parts), dot.ones(true),
                      dot.load(args.out,
                               to + quad * (4 * panelWidth) + v * vectorBytes,
                               /*isUnsigned=*/false)));
        return next;
      });
  Value k = arith::IndexCastOp::create(kb.b, kb.loc, kb.b.getI32Type(), args.k);
  for (int64_t v = 0; v < 2; ++v) {
    Index at = column + v * lanes;
    Value mask = kb.maskBelow(args.n - at);
    Value total = dot.finish(ValueRange(sums).slice(v * parts, parts));
    // Codes and zero points were moved by the same 128, if at all.
    Value zero;
    if (spec.zeros == Extent::One)
      zero = kb.loadSplat(args.zeros, kb.index(0));
    else if (spec.zeros == Extent::Many)
      zero = kb.loadMasked(args.zeros, at, mask);
    else if (spec.isUnsigned)
      zero = kb.splat(constantI8(kb, 0));
    if (zero) {
      zero = arith::ExtSIOp::create(kb.b, kb.loc, kb.i32Vector(),
                                    signedCodes(zero));
      zero = arith::MulIOp::create(kb.b, kb.loc, zero, kb.splat(k));
      total = arith::SubIOp::create(kb.b, kb.loc, total, zero);
    }
    kb.storeMasked(total, args.outSums, matrix * args.n + at, mask);
  }
}

void emitPackWeight(KernelBuilder &kernel, const PackWeightSpec &spec,
                    const PackWeightArguments &arguments) {
  PackEmitter(kernel, spec, arguments).emit();
}

std::string PrepareRowsSpec::getName() const {
  return std::string("nibble_prepare_rows") + (flip ? "_flip" : "") +
         (sums ? "_sums" : "");
}

std::string PackWeightSpec::getName() const {
  std::string name = transposed ? "nibble_pack_rows" : "nibble_pack_columns";
  if (isUnsigned)
    name += "_u8";
  if (sums)
    name += "_sums";
  if (sums && zeros != Extent::None)
    name += zeros == Extent::One ? "_z1" : "_zn";
  return name;
}

} // namespace nibble::codegen
