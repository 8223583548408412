//===- IntegerMatMulKernel.cpp - Matrix products of bytes -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/IntegerKernels.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
constexpr int64_t panelWidth = KernelBuilder::panelWidth;
constexpr int64_t panelVectors = panelWidth / lanes;
/// Bytes of a quad of all channels of a panel.
constexpr int64_t quadBytes = 4 * panelWidth;
/// Rows that a task multiplies with a panel while it is in cache.
constexpr int64_t blockRows = 128;
/// Panels that a task takes, so that its rows are read from cache.
constexpr int64_t blockPanels = 4;
/// Sums of a tile, in vectors.
constexpr int64_t maxSums = 16;
/// Bytes that are fetched ahead of each stream from memory.
constexpr int64_t prefetchDistance = 1024;

class IntegerMatMulEmitter {
public:
  IntegerMatMulEmitter(KernelBuilder &kernel, const IntegerSpec &spec,
                       const IntegerMatMulArguments &arguments)
      : kb(kernel), spec(spec), args(arguments), dot(kernel),
        stage(kernel, spec, args.operands),
        panels(ceilDiv(args.n, panelWidth)) {}

  void emit();

private:
  /// `rows` rows by `vectors` vectors of 16 channels of each of `streams`
  /// panels.
  struct Tile {
    int64_t rows, streams, vectors;
  };

  Tile getTile(int64_t rows) const;
  void emitFewRows(Tile tile);
  void emitManyRows(Tile tile);
  /// A tile from `row` of matrix `batch` on. Rows from `lastRow` on do not
  /// exist (null: all do): they read the last one and are not stored.
  void emitTile(Tile tile, Index batch, Index panel, int64_t firstVector,
                Index row, Value lastRow);
  void emitPanel(Tile tile, Index batch, Index panel, Index row,
                 Value lastRow) {
    for (int64_t v = 0; v < panelVectors; v += tile.vectors)
      emitTile(tile, batch, panel, v, row, lastRow);
  }
  void storeTile(Tile tile, Index batch, Index panel, int64_t firstVector,
                 Index row, Value lastRow, ValueRange totals);
  void makeSpill() {
    if (KernelBuilder::isExpensive(spec.activation))
      spill = kb.scratch(maxSums * lanes, kb.b.getI32Type());
  }
  Index work() {
    // Four products take about as long as one of floats.
    return args.batch * args.m * panels * args.quads * panelWidth;
  }

  KernelBuilder &kb;
  const IntegerSpec &spec;
  const IntegerMatMulArguments &args;
  QuadDot dot;
  IntegerStage stage;
  Index panels;
  /// The sums of a tile, for loops over them; null where none is needed.
  Value spill;
};

/// As many sums as fit the registers: 16 of 32, or 8 of 16.
IntegerMatMulEmitter::Tile IntegerMatMulEmitter::getTile(int64_t rows) const {
  if (!kb.target.avx512) {
    int64_t most = std::max<int64_t>(1, 8 / dot.numParts());
    return {std::min(rows, most), 1, 1};
  }
  if (dot.numParts() > 1)
    return {std::min<int64_t>(rows, 4), 1, panelVectors};
  return {rows, 8 / rows, panelVectors};
}

void IntegerMatMulEmitter::emit() {
  Tile one = getTile(1), few = getTile(4), many = getTile(8);
  kb.ifThenElse(
      kb.le(args.m, kb.index(one.rows)), [&] { emitFewRows(one); },
      [&] {
        kb.ifThenElse(
            kb.le(args.m, kb.index(few.rows)), [&] { emitFewRows(few); },
            [&] { emitManyRows(many); });
      });
}

/// Weights stream from memory, several panels side by side.
void IntegerMatMulEmitter::emitFewRows(Tile tile) {
  kb.ifThen(kb.lt(kb.index(0), args.m), [&] {
    Index chunks = ceilDiv(panels, tile.streams);
    Index units = args.batch * chunks;
    kb.parallelRanges(units, kb.tasksFor(work(), units),
                      [&](Index lo, Index hi) {
                        makeSpill();
                        kb.forLoop(lo, hi, 1, [&](Index unit) {
                          Index batch = unit / chunks;
                          Index first = unit % chunks * kb.index(tile.streams);
                          Index row = kb.index(0);
                          Value last = tile.rows == 1 ? Value() : Value(args.m);
                          if (tile.streams == 1)
                            return emitPanel(tile, batch, first, row, last);
                          kb.ifThenElse(
                              kb.le(first + tile.streams, panels),
                              [&] { emitPanel(tile, batch, first, row, last); },
                              [&] {
                                kb.forLoop(first, panels, 1, [&](Index panel) {
                                  Tile narrow = {tile.rows, 1, tile.vectors};
                                  emitPanel(narrow, batch, panel, row, last);
                                });
                              });
                        });
                      });
  });
}

/// A panel is read once from memory and then, for all other rows of a block,
/// from cache.
void IntegerMatMulEmitter::emitManyRows(Tile tile) {
  Index rowBlocks = ceilDiv(args.m, blockRows);
  Index chunk = max(min(args.batch * panels * rowBlocks / 8, blockPanels), 1);
  Index chunks = ceilDiv(panels, chunk);
  Index units = args.batch * rowBlocks * chunks;
  kb.parallelRanges(units, kb.tasksFor(work(), units), [&](Index lo, Index hi) {
    makeSpill();
    kb.forLoop(lo, hi, 1, [&](Index unit) {
      Index batch = unit / (rowBlocks * chunks);
      Index rest = unit % (rowBlocks * chunks);
      Index first = rest / chunks * kb.index(blockRows);
      Index last = min(first + blockRows, args.m);
      Index firstPanel = rest % chunks * chunk;
      kb.forLoop(
          firstPanel, min(firstPanel + chunk, panels), 1, [&](Index panel) {
            Index middle = first + (last - first) / tile.rows * tile.rows;
            kb.forLoop(first, middle, tile.rows, [&](Index row) {
              emitPanel(tile, batch, panel, row, Value());
            });
            kb.ifThen(kb.lt(middle, last),
                      [&] { emitPanel(tile, batch, panel, middle, last); });
          });
    });
  });
}

void IntegerMatMulEmitter::emitTile(Tile tile, Index batch, Index panel,
                                    int64_t firstVector, Index row,
                                    Value lastRow) {
  SmallVector<Index> inputs, weights;
  for (int64_t r = 0; r < tile.rows; ++r) {
    Index at = row + r;
    if (lastRow && r > 0)
      at = min(at, kb.index(lastRow) - 1);
    inputs.push_back((batch * args.m + at) * args.inputStride);
  }
  for (int64_t s = 0; s < tile.streams; ++s)
    weights.push_back((batch * panels + panel + s) * args.weightQuads *
                          quadBytes +
                      firstVector * lanes * 4);

  int64_t perRow = tile.streams * tile.vectors, parts = dot.numParts();
  Values init;
  for (int64_t i = 0; i < tile.rows * perRow; ++i)
    llvm::append_range(init, dot.zeros());
  int64_t unroll = tile.rows == 1 ? 4 : 1;
  Values sums = kb.forUnrolled(
      kb.index(0), args.quads, unroll, init,
      [&](Index quad, int64_t count, ValueRange iter) {
        Values next(iter);
        for (int64_t i = 0; i < count; ++i) {
          SmallVector<QuadDot::Side> sides;
          for (Index weight : weights) {
            Index at = weight + (quad + i) * quadBytes;
            for (int64_t v = 0; v < tile.vectors; ++v)
              sides.push_back(dot.load(args.weight, at + v * lanes * 4, false));
            for (int64_t byte = 0; byte < tile.vectors * lanes * 4; byte += 64)
              kb.prefetch(args.weight, at + (prefetchDistance + byte));
          }
          for (int64_t r = 0; r < tile.rows; ++r) {
            QuadDot::Side x = dot.broadcast(
                args.input, inputs[r] + (quad + i) * 4, /*isUnsigned=*/true);
            for (int64_t j = 0; j < perRow; ++j) {
              int64_t at = (r * perRow + j) * parts;
              Values sum =
                  dot.add(ValueRange(next).slice(at, parts), x, sides[j]);
              llvm::copy(sum, next.begin() + at);
            }
          }
        }
        return next;
      });

  Values totals;
  for (int64_t i = 0; i < tile.rows * perRow; ++i)
    totals.push_back(dot.finish(ValueRange(sums).slice(i * parts, parts)));
  storeTile(tile, batch, panel, firstVector, row, lastRow, totals);
}

void IntegerMatMulEmitter::storeTile(Tile tile, Index batch, Index panel,
                                     int64_t firstVector, Index row,
                                     Value lastRow, ValueRange totals) {
  int64_t perRow = tile.streams * tile.vectors;
  Index end = row + tile.rows;
  if (lastRow)
    end = min(end, kb.index(lastRow));
  if (spill)
    for (auto [i, total] : llvm::enumerate(totals))
      kb.storeVector(total, spill, kb.index(i * lanes));
  for (int64_t j = 0; j < perRow; ++j) {
    Index column = (panel + j / tile.vectors) * panelWidth +
                   (firstVector + j % tile.vectors) * lanes;
    Value mask = kb.maskBelow(args.n - column);
    IntegerStage::Channels channels =
        stage.loadChannels(column, mask, batch * args.n);
    auto storeRow = [&](Index r, Value total) {
      Index at = batch * args.m + r;
      IntegerStage::Row terms = stage.loadRow(at);
      if (spec.needsInputSums())
        terms.inputSum = kb.loadSplat(args.inputSums, at);
      stage.store(total, channels, terms, at * args.n + column, mask);
    };
    // Expensive activations would be most of the kernel if they were there for
    // every row of a tile.
    if (spill) {
      kb.forLoop(row, end, 1, [&](Index r) {
        Index at = ((r - row) * perRow + j) * lanes;
        storeRow(r, kb.loadVector(spill, at));
      });
      continue;
    }
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value total = totals[r * perRow + j];
      if (lastRow && r > 0)
        kb.ifThen(kb.lt(row + r, end), [&] { storeRow(row + r, total); });
      else
        storeRow(row + r, total);
    }
  }
}

} // namespace

void emitIntegerMatMul(KernelBuilder &kernel, const IntegerSpec &spec,
                       const IntegerMatMulArguments &arguments) {
  IntegerMatMulEmitter(kernel, spec, arguments).emit();
}

} // namespace nibble::codegen
