//===- MatMulTilesKernel.cpp - Matrix products in AMX tiles ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Many rows with inputs rounded to bf16 and sums in f32. A register tile has 16
// rows of 64 bytes: 32 steps of 16 rows of activations, or 16 pairs of steps of
// 16 channels. Two by two of them, 32 rows by a panel, are four products for
// four loads.
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Kernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
constexpr int64_t panelWidth = KernelBuilder::panelWidth;
constexpr int64_t panelVectors = panelWidth / lanes;
/// Rows of a register tile, and the steps of the contraction it holds.
constexpr int64_t tileRows = 16, tileSteps = 32;
/// Elements of a tile of bf16.
constexpr int64_t tileSize = tileRows * tileSteps;
/// Rows that are multiplied at a time.
constexpr int64_t blockRows = 2 * tileRows;
/// Steps of a panel that are unpacked at a time: 128 KiB of bf16.
constexpr int64_t blockSteps = 2048;
/// Elements of activations that a task goes through for each panel: 1 MiB.
constexpr int64_t taskElements = 1 << 19;
/// Panels that a task takes, so that its rows are read from cache.
constexpr int64_t blockPanels = 4;

class TilesEmitter {
public:
  TilesEmitter(KernelBuilder &kernel, const MatMulSpec &spec,
               const MatMulArguments &arguments)
      : kb(kernel), spec(spec), args(arguments),
        reader(kernel, spec.format, args.weight, 0, panelVectors),
        // One scale for a row: codes are exact in bf16, and the sums are
        // scaled. Zeros that are floats are not exact, and belong to scaled
        // weights.
        scaleSums(!spec.format.isFloat() && spec.format.group <= 0 &&
                  !spec.format.minimum && !spec.format.floatZeros),
        panels(ceilDiv(arguments.n, panelWidth)),
        stepTiles(ceilDiv(arguments.k, tileSteps)),
        // An odd number of cache lines: rows must not share a set.
        stride((stepTiles + (stepTiles + 1) % kernel.index(2)) * tileSteps) {}

  void emit();

private:
  Value tileOp(const char *name, ArrayRef<Value> operands);
  Value i16(int64_t value) {
    return arith::ConstantIntOp::create(kb.b, kb.loc, kb.b.getI16Type(), value);
  }
  Value i64(Index value) {
    return arith::IndexCastOp::create(kb.b, kb.loc, kb.b.getI64Type(), value);
  }
  Value pointer(Value memref, Index at, int64_t bytes);
  Value loadTile(Value memref, Index at, Index rowStride);

  void roundInput();
  void roundRow(Index row);
  void unpack(Index panel, Index begin, Index end);
  Value interleave(Value even, Value odd);
  void storePair(Index pair, ValueRange even, ValueRange odd);
  void multiply(Index panel, Index row, Index lastRow, Index begin, Index end);
  void finish(Index panel, Index row, Index count, Index begin, Index end);

  KernelBuilder &kb;
  const MatMulSpec &spec;
  const MatMulArguments &args;
  PanelReader reader;
  bool scaleSums;
  Index panels, stepTiles;
  /// Elements from one row of `input` to the next.
  Index stride;
  /// Activations in bf16, rows filled up to whole tiles; a block of a panel,
  /// [tiles of steps][2][tile]; the sums of `blockRows` rows.
  Value input, weights, sums;
};

} // namespace

Value TilesEmitter::tileOp(const char *name, ArrayRef<Value> operands) {
  Type type = LLVM::LLVMX86AMXType::get(kb.b.getContext());
  return LLVM::CallIntrinsicOp::create(
             kb.b, kb.loc, type,
             kb.b.getStringAttr(std::string("llvm.x86.") + name + ".internal"),
             operands)
      .getResult(0);
}

Value TilesEmitter::pointer(Value memref, Index at, int64_t bytes) {
  OpBuilder &b = kb.b;
  Value base =
      memref::ExtractAlignedPointerAsIndexOp::create(b, kb.loc, memref);
  Index address = kb.index(base) + at * bytes;
  return LLVM::IntToPtrOp::create(
      b, kb.loc, LLVM::LLVMPointerType::get(b.getContext()), i64(address));
}

Value TilesEmitter::loadTile(Value memref, Index at, Index rowStride) {
  return tileOp("tileloadd64", {i16(tileRows), i16(64), pointer(memref, at, 2),
                                i64(rowStride * 2)});
}

void TilesEmitter::emit() {
  OpBuilder &b = kb.b;
  Index rowsUp = ceilDiv(args.m, blockRows) * kb.index(blockRows);
  auto type = MemRefType::get({ShapedType::kDynamic}, b.getBF16Type());
  input = memref::AllocOp::create(b, kb.loc, type, ValueRange{rowsUp * stride},
                                  b.getI64IntegerAttr(64));
  roundInput();

  Index taskRows =
      max(min(kb.index(taskElements) / args.k / blockRows, 16), 1) *
      kb.index(blockRows);
  Index rowBlocks = ceilDiv(args.m, taskRows);
  Index chunk = max(min(panels * rowBlocks / 8, blockPanels), 1);
  Index chunks = ceilDiv(panels, chunk);
  Index units = rowBlocks * chunks;
  Index work = panels * panelWidth * args.k * args.m / 16;
  kb.parallelRanges(units, kb.tasksFor(work, units), [&](Index lo, Index hi) {
    weights = kb.scratch(blockSteps * panelWidth, b.getBF16Type());
    sums = kb.scratch(blockRows * panelWidth);
    kb.forLoop(lo, hi, 1, [&](Index unit) {
      Index first = unit / chunks * taskRows;
      Index last = min(first + taskRows, args.m);
      Index firstPanel = unit % chunks * chunk;
      Index lastPanel = min(firstPanel + chunk, panels);
      kb.forLoop(firstPanel, lastPanel, 1, [&](Index panel) {
        kb.forLoop(kb.index(0), args.k, blockSteps, [&](Index begin) {
          Index end = min(begin + blockSteps, args.k);
          unpack(panel, begin, end);
          kb.forLoop(first, last, blockRows, [&](Index row) {
            multiply(panel, row, last, begin, end);
          });
        });
      });
    });
  });
  memref::DeallocOp::create(b, kb.loc, input);
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

void TilesEmitter::roundInput() {
  kb.parallelRanges(args.m, kb.tasksFor(args.m * args.k / 2, args.m),
                    [&](Index lo, Index hi) {
                      kb.forLoop(lo, hi, 1, [&](Index row) { roundRow(row); });
                    });
}

void TilesEmitter::roundRow(Index row) {
  auto type = kb.vectorType(kb.b.getBF16Type());
  auto store = [&](Value x, Index i) {
    x = arith::TruncFOp::create(kb.b, kb.loc, type, x);
    kb.storeVector(x, input, row * stride + i);
  };
  Index from = row * args.k;
  Index middle = args.k / lanes * kb.index(lanes);
  kb.forLoop(kb.index(0), middle, lanes,
             [&](Index i) { store(kb.loadVector(args.input, from + i), i); });
  // Up to whole tiles with zeros.
  kb.forLoop(middle, stepTiles * tileSteps, lanes, [&](Index i) {
    store(kb.loadMasked(args.input, from + i, kb.maskBelow(args.k - i)), i);
  });
}

/// Pairs of one step and the next, as bf16.
Value TilesEmitter::interleave(Value even, Value odd) {
  auto type = kb.vectorType(kb.b.getBF16Type());
  even = arith::TruncFOp::create(kb.b, kb.loc, type, even);
  odd = arith::TruncFOp::create(kb.b, kb.loc, type, odd);
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < lanes; ++i)
    llvm::append_range(order, ArrayRef<int64_t>{i, lanes + i});
  return vector::ShuffleOp::create(kb.b, kb.loc, even, odd, order);
}

/// Two steps of all channels: a row of a tile for each vector.
void TilesEmitter::storePair(Index pair, ValueRange even, ValueRange odd) {
  Index tile = pair / tileRows * kb.index(panelVectors);
  Index rowAt = pair % kb.index(tileRows) * kb.index(tileSteps);
  for (int64_t v = 0; v < panelVectors; ++v)
    kb.storeVector(interleave(even[v], odd[v]), weights,
                   (tile + v) * tileSize + rowAt);
}

void TilesEmitter::unpack(Index panel, Index begin, Index end) {
  Index length = spec.format.groupLength(args.k);
  Values zero(panelVectors, kb.zeros());
  kb.forLoop(begin / length, ceilDiv(end, length), 1, [&](Index group) {
    Values scales;
    if (!scaleSums)
      scales = reader.loadScales(panel, group, args.k);
    Values zeros = reader.loadZeros(panel, group, args.k);
    auto load = [&](Index step) {
      return reader.loadScaled(reader.codesAt(panel, step, args.k), scales,
                               zeros);
    };
    Index lo = max(begin, group * length);
    Index hi = min(end, (group + 1) * length);
    Index first = (lo - begin) / 2, count = (hi - lo) / 2;
    kb.forUnrolled(kb.index(0), count, 2, {},
                   [&](Index pair, int64_t n, ValueRange) {
                     for (int64_t i = 0; i < n; ++i) {
                       Index step = lo + (pair + i) * 2;
                       storePair(first + pair + i, load(step), load(step + 1));
                     }
                     return Values();
                   });
    // A single step is the last one of all.
    kb.ifThen(kb.lt(lo + count * 2, hi),
              [&] { storePair(first + count, load(hi - 1), zero); });
  });
  Index size = end - begin;
  kb.forLoop(ceilDiv(size, 2), ceilDiv(size, tileSteps) * kb.index(tileRows), 1,
             [&](Index pair) { storePair(pair, zero, zero); });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void TilesEmitter::multiply(Index panel, Index row, Index lastRow, Index begin,
                            Index end) {
  Value size = i16(tileRows), bytes = i16(64);
  // One for each: registers of tiles are not copied.
  Values zero;
  for (int64_t i = 0; i < 4; ++i)
    zero.push_back(tileOp("tilezero", {size, bytes}));
  Index steps = ceilDiv(end - begin, tileSteps);
  Values result =
      kb.forLoop(kb.index(0), steps, 1, zero, [&](Index t, ValueRange acc) {
        Values x, w, next;
        for (int64_t i = 0; i < 2; ++i) {
          x.push_back(loadTile(
              input, (row + i * tileRows) * stride + begin + t * tileSteps,
              stride));
          w.push_back(
              loadTile(weights, (t * 2 + i) * tileSize, kb.index(tileSteps)));
        }
        for (int64_t i = 0; i < 4; ++i)
          next.push_back(tileOp(
              "tdpbf16ps", {size, bytes, bytes, acc[i], x[i / 2], w[i % 2]}));
        return next;
      });
  for (int64_t i = 0; i < 4; ++i) {
    Index at = kb.index(i / 2 * tileRows * panelWidth + i % 2 * lanes);
    LLVM::CallIntrinsicOp::create(
        kb.b, kb.loc, kb.b.getStringAttr("llvm.x86.tilestored64.internal"),
        ValueRange{size, bytes, pointer(sums, at, 4),
                   i64(kb.index(panelWidth * 4)), result[i]});
  }
  finish(panel, row, min(lastRow - row, blockRows), begin, end);
}

/// Adds what was summed before, or is added at the end, to the sums and stores
/// them.
void TilesEmitter::finish(Index panel, Index row, Index count, Index begin,
                          Index end) {
  Values scales;
  if (scaleSums)
    scales = reader.loadScales(panel, kb.index(0), args.k);
  for (int64_t v = 0; v < panelVectors; ++v) {
    Index column = panel * panelWidth + v * lanes;
    Value mask = kb.maskBelow(args.n - column);
    kb.forLoop(kb.index(0), count, 1, [&](Index r) {
      Value x = kb.loadVector(sums, r * panelWidth + v * lanes);
      if (scaleSums)
        x = kb.fmul(x, scales[v]);
      Index at = (row + r) * args.n + column;
      x = kb.ifYield(
                kb.eq(begin, 0), [&] { return Values{x}; },
                [&] {
                  return Values{kb.fadd(x, kb.loadMasked(args.out, at, mask))};
                })
              .front();
      kb.ifThenElse(
          kb.lt(end, args.k), [&] { kb.storeMasked(x, args.out, at, mask); },
          [&] {
            Value y = addTerms(kb, spec.epilogue, args, x, column, at, mask);
            y = kb.emitActivation(spec.epilogue.activation, y);
            kb.storeMasked(y, args.out, at, mask);
          });
    });
  }
}

bool fitsTiles(const MatMulSpec &spec) {
  // A pair of steps has one scale.
  return spec.format.group <= 0 || spec.format.group % 2 == 0;
}

void emitMatMulTiles(KernelBuilder &kernel, const MatMulSpec &spec,
                     const MatMulArguments &arguments) {
  TilesEmitter(kernel, spec, arguments).emit();
}

} // namespace nibble::codegen
