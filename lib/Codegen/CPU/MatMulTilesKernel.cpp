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

#include "Lanes.h"
#include "nibble/Codegen/CPU/PackOperand.h"

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
        layout(kernel, /*bf16=*/true, arguments.k), inputAt(kernel.index(0)),
        outAt(inputAt), weightAt(inputAt), inputRow(layout.rowSize()),
        outRow(arguments.n) {}

  void emit();
  void emitBatch(const MatMulBatch &batch);

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

  /// Multiplies all. `enter` says where the product of a number is (null: there
  /// is one), `fetch` where steps [begin, end) of a panel are.
  void emitTasks(Index products, function_ref<void(Index)> enter,
                 function_ref<void(Index panel, Index begin, Index end)> fetch);
  void roundInput();
  void unpack(Index panel, Index begin, Index end);
  void storePair(Index pair, ValueRange even, ValueRange odd);
  void multiply(Index panel, Index row, Index lastRow, Index begin, Index end);
  void storeTiles(Value memref, Index at, Index rowSize, ValueRange tiles);
  void finish(Index panel, Index row, Index count, Index begin, Index end);

  KernelBuilder &kb;
  const MatMulSpec &spec;
  const MatMulArguments &args;
  PanelReader reader;
  bool scaleSums, accumulate = false;
  Index panels;
  PackedLayout layout;
  /// Where the product at hand and the block of its panel are, and from one row
  /// to the next.
  Index inputAt, outAt, weightAt, inputRow, outRow;
  /// Activations in bf16, rows filled up to whole tiles; blocks of panels,
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
  // That pointer is without the offset of the layout.
  if (!cast<MemRefType>(memref.getType()).getLayout().isIdentity())
    at = at +
         kb.index(memref::ExtractStridedMetadataOp::create(b, kb.loc, memref)
                      .getOffset());
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
  input = layout.allocate(layout.rowsSize(args.m));
  roundInput();
  emitTasks(kb.index(1), nullptr, [&](Index panel, Index begin, Index end) {
    unpack(panel, begin, end);
  });
  memref::DeallocOp::create(b, kb.loc, input);
}

void TilesEmitter::emitBatch(const MatMulBatch &batch) {
  input = args.input;
  weights = args.weight.codes;
  accumulate = batch.accumulate;
  inputRow = batch.input.row;
  outRow = batch.out.row;
  Index productAt;
  emitTasks(
      batch.count,
      [&](Index number) {
        inputAt = batch.at(batch.input, number);
        outAt = batch.at(batch.out, number);
        productAt = number * panels * batch.panel;
      },
      [&](Index panel, Index begin, Index) {
        weightAt = productAt + panel * batch.panel + begin * panelWidth;
      });
}

void TilesEmitter::emitTasks(
    Index products, function_ref<void(Index)> enter,
    function_ref<void(Index panel, Index begin, Index end)> fetch) {
  Index taskRows =
      max(min(kb.index(taskElements) / args.k / blockRows, 16), 1) *
      kb.index(blockRows);
  Index rowBlocks = ceilDiv(args.m, taskRows);
  Index chunk = max(min(products * panels * rowBlocks / 8, blockPanels), 1);
  Index chunks = ceilDiv(panels, chunk);
  Index productUnits = rowBlocks * chunks;
  Index units = products * productUnits;
  Index work = products * panels * panelWidth * args.k * args.m / 16;
  kb.parallelRanges(units, kb.tasksFor(work, units), [&](Index lo, Index hi) {
    if (!enter)
      weights = kb.scratch(blockSteps * panelWidth, kb.b.getBF16Type());
    sums = kb.scratch(blockRows * panelWidth);
    kb.forLoop(lo, hi, 1, [&](Index number) {
      Index unit = number;
      if (enter) {
        enter(number / productUnits);
        unit = number % productUnits;
      }
      Index first = unit / chunks * taskRows;
      Index last = min(first + taskRows, args.m);
      Index firstPanel = unit % chunks * chunk;
      Index lastPanel = min(firstPanel + chunk, panels);
      kb.forLoop(firstPanel, lastPanel, 1, [&](Index panel) {
        kb.forLoop(kb.index(0), args.k, blockSteps, [&](Index begin) {
          Index end = min(begin + blockSteps, args.k);
          fetch(panel, begin, end);
          kb.forLoop(first, last, blockRows, [&](Index row) {
            multiply(panel, row, last, begin, end);
          });
        });
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

void TilesEmitter::roundInput() {
  PackArguments pack;
  pack.source = args.input;
  pack.dest = input;
  pack.lines = args.m;
  pack.steps = args.k;
  pack.stride = args.k;
  pack.batches = pack.inner = kb.index(1);
  pack.outerBatch = pack.innerBatch = kb.index(0);
  emitPack(kb, {/*panels=*/false, /*alongSteps=*/true, /*bf16=*/true}, pack);
}

/// Two steps of all channels: a row of a tile for each vector.
void TilesEmitter::storePair(Index pair, ValueRange even, ValueRange odd) {
  Index tile = pair / tileRows * kb.index(panelVectors);
  Index rowAt = pair % kb.index(tileRows) * kb.index(tileSteps);
  for (int64_t v = 0; v < panelVectors; ++v)
    kb.storeVector(roundPairs(kb, even[v], odd[v]), weights,
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
          x.push_back(loadTile(input,
                               inputAt + (row + i * tileRows) * inputRow +
                                   begin + t * tileSteps,
                               inputRow));
          w.push_back(loadTile(weights, weightAt + (t * 2 + i) * tileSize,
                               kb.index(tileSteps)));
        }
        for (int64_t i = 0; i < 4; ++i)
          next.push_back(tileOp(
              "tdpbf16ps", {size, bytes, bytes, acc[i], x[i / 2], w[i % 2]}));
        return next;
      });
  Index count = min(lastRow - row, blockRows);
  auto emitFinish = [&] {
    storeTiles(sums, kb.index(0), kb.index(panelWidth), result);
    finish(panel, row, count, begin, end);
  };
  if (accumulate || scaleSums || !spec.epilogue.getName().empty())
    return emitFinish();
  // Whole tiles to which nothing is added go where they belong at once.
  Index column = panel * panelWidth;
  Value whole =
      kb.both(kb.eq(count, blockRows), kb.le(column + panelWidth, args.n));
  kb.ifThenElse(
      kb.both(whole, kb.eq(begin, 0)),
      [&] {
        storeTiles(args.out, outAt + row * outRow + column, outRow, result);
      },
      emitFinish);
}

/// Two by two tiles of sums.
void TilesEmitter::storeTiles(Value memref, Index at, Index rowSize,
                              ValueRange tiles) {
  for (int64_t i = 0; i < 4; ++i) {
    Index corner = at + rowSize * (i / 2 * tileRows) + i % 2 * lanes;
    LLVM::CallIntrinsicOp::create(
        kb.b, kb.loc, kb.b.getStringAttr("llvm.x86.tilestored64.internal"),
        ValueRange{i16(tileRows), i16(64), pointer(memref, corner, 4),
                   i64(rowSize * 4), tiles[i]});
  }
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
      Index at = outAt + (row + r) * outRow + column;
      auto addOld = [&] {
        return Values{kb.fadd(x, kb.loadMasked(args.out, at, mask))};
      };
      x = accumulate ? addOld().front()
                     : kb.ifYield(
                             kb.eq(begin, 0), [&] { return Values{x}; }, addOld)
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

void emitMatMulTilesBatch(KernelBuilder &kernel,
                          const MatMulArguments &arguments,
                          const MatMulBatch &batch) {
  TilesEmitter(kernel, MatMulSpec(), arguments).emitBatch(batch);
}

} // namespace nibble::codegen
