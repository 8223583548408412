//===- MatMulOutliersKernel.cpp - Outlier columns in floats ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/OutlierKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
constexpr int64_t panelWidth = KernelBuilder::panelWidth;
constexpr int64_t panelVectors = panelWidth / lanes;
/// Bytes of a quad of all channels of a panel.
constexpr int64_t quadBytes = 4 * panelWidth;
/// Rows that a task multiplies with a panel.
constexpr int64_t blockRows = 64;

class MatMulOutliersEmitter {
public:
  MatMulOutliersEmitter(KernelBuilder &kernel,
                        const MatMulOutliersArguments &arguments)
      : kb(kernel), args(arguments), vectors(kernel.target.tileVectors()),
        panels(ceilDiv(args.n, panelWidth)) {}

  void emit();

private:
  Index toIndex(Value value) {
    return kb.index(
        arith::IndexCastOp::create(kb.b, kb.loc, kb.b.getIndexType(), value)
            .getResult());
  }
  Values loadWeights(Index panel, int64_t half, Value column);
  /// Rows from `lastRow` on do not exist (null: all do): they read the last one
  /// and are not stored.
  void emitTile(Index panel, int64_t half, Index row, int64_t rows,
                Value lastRow);
  void emitRows(Index panel, Index row, int64_t rows, Value lastRow) {
    for (int64_t half = 0; half < panelVectors; half += vectors)
      emitTile(panel, half, row, rows, lastRow);
  }

  KernelBuilder &kb;
  const MatMulOutliersArguments &args;
  /// Vectors of channels of a tile.
  int64_t vectors;
  Index panels, count;
};

} // namespace

void MatMulOutliersEmitter::emit() {
  count = toIndex(kb.load(args.count, kb.index(0)));
  int64_t rows = kb.target.tileRows();
  Index rowBlocks = ceilDiv(args.m, blockRows);
  Index units = rowBlocks * panels;
  Index work = args.m * panels * panelWidth * (count + 1);
  kb.parallelRanges(units, kb.tasksFor(work, units), [&](Index lo, Index hi) {
    kb.forLoop(lo, hi, 1, [&](Index unit) {
      Index panel = unit % panels;
      Index first = unit / panels * blockRows;
      Index last = min(first + blockRows, args.m);
      Index middle = first + (last - first) / rows * rows;
      kb.forLoop(first, middle, rows,
                 [&](Index row) { emitRows(panel, row, rows, Value()); });
      Index rest = last - middle;
      kb.ifThen(kb.lt(kb.index(0), rest), [&] {
        kb.ifThenElse(
            kb.eq(rest, 1), [&] { emitRows(panel, middle, 1, Value()); },
            [&] { emitRows(panel, middle, rows, last); });
      });
    });
  });
}

/// Codes of a column as floats: the bytes of a quad of a channel are one i32.
Values MatMulOutliersEmitter::loadWeights(Index panel, int64_t half,
                                          Value column) {
  OpBuilder &b = kb.b;
  auto constant = [&](int64_t value) {
    return arith::ConstantIntOp::create(b, kb.loc, b.getI32Type(), value);
  };
  Value step = arith::AndIOp::create(b, kb.loc, column, constant(3));
  Value shift = arith::ShLIOp::create(
      b, kb.loc, arith::SubIOp::create(b, kb.loc, constant(3), step),
      constant(3));
  shift = kb.splat(shift);
  Index at = (panel * args.weightQuads + toIndex(column) / 4) * quadBytes;
  Values weights;
  for (int64_t v = half; v < half + vectors; ++v) {
    Value quads = kb.loadVector(args.weight, at + v * lanes * 4, lanes * 4);
    quads = vector::BitCastOp::create(b, kb.loc, kb.i32Vector(), quads);
    quads = arith::ShLIOp::create(b, kb.loc, quads, shift);
    quads = arith::ShRSIOp::create(b, kb.loc, quads, kb.splatI32(24));
    weights.push_back(
        arith::SIToFPOp::create(b, kb.loc, kb.f32Vector(), quads));
  }
  return weights;
}

void MatMulOutliersEmitter::emitTile(Index panel, int64_t half, Index row,
                                     int64_t rows, Value lastRow) {
  SmallVector<Index> inputs;
  for (int64_t r = 0; r < rows; ++r) {
    Index at = row + r;
    if (lastRow && r > 0)
      at = min(at, kb.index(lastRow) - 1);
    inputs.push_back(at * args.k);
  }
  Values sums =
      kb.forLoop(kb.index(0), count, 1, Values(rows * vectors, kb.zeros()),
                 [&](Index i, ValueRange iter) {
                   Value column = kb.load(args.columns, i);
                   Values weights = loadWeights(panel, half, column);
                   Index k = toIndex(column);
                   Values next(iter);
                   for (int64_t r = 0; r < rows; ++r) {
                     Value x = kb.loadSplat(args.input, inputs[r] + k);
                     for (int64_t v = 0; v < vectors; ++v)
                       next[r * vectors + v] =
                           kb.fma(x, weights[v], next[r * vectors + v]);
                   }
                   return next;
                 });
  for (int64_t v = 0; v < vectors; ++v) {
    Index channel = panel * panelWidth + (half + v) * lanes;
    Value mask = kb.maskBelow(args.n - channel);
    Value scales = kb.loadMasked(args.weightScales, channel, mask);
    for (int64_t r = 0; r < rows; ++r) {
      auto store = [&] {
        Index at = (row + r) * args.n + channel;
        Value y = kb.fmul(sums[r * vectors + v], scales);
        if (args.residual)
          y = kb.fadd(y, kb.loadMasked(args.residual, at, mask));
        kb.storeMasked(y, args.out, at, mask);
      };
      if (lastRow && r > 0)
        kb.ifThen(kb.lt(row + r, kb.index(lastRow)), store);
      else
        store();
    }
  }
}

void emitMatMulOutliers(KernelBuilder &kernel,
                        const MatMulOutliersArguments &arguments) {
  MatMulOutliersEmitter(kernel, arguments).emit();
}

} // namespace nibble::codegen
