//===- MatMulKernel.cpp - Matrix products with packed weights -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Kernels.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
constexpr int64_t panelWidth = KernelBuilder::panelWidth;
constexpr int64_t vectorsPerPanel = panelWidth / lanes;
/// Steps of a panel that are unpacked at a time: 32 KiB of floats.
constexpr int64_t blockSteps = 256;
/// Rows that go through an unpacked block: with its steps 256 KiB of input.
constexpr int64_t blockRows = 256;
/// Panels that a task takes, so that its rows are read from cache.
constexpr int64_t blockPanels = 4;

class MatMulEmitter {
public:
  MatMulEmitter(KernelBuilder &kernel, const MatMulSpec &spec,
                const MatMulArguments &arguments)
      : kb(kernel), spec(spec), args(arguments),
        rows(kernel.target.avx512 ? 12 : 4),
        vectors(kernel.target.tileVectors()),
        panels(ceilDiv(arguments.n, panelWidth)), inputAt(kernel.index(0)),
        outAt(inputAt), inputRow(arguments.k), outRow(arguments.n) {}

  void emit();
  void emitBatch(const MatMulBatch &batch);

private:
  /// Where a tile gets its weights from.
  struct Source {
    /// Unpacked steps, the first of them at `scratch[at]`; null: the packed
    /// weight itself.
    Value scratch;
    Index at;
  };

  void emitVectorProduct();
  void emitStreams(Index panel, int64_t streams);
  void emitFewRows();
  /// `enter` gets the number of a product and says where it is; null: there is
  /// one.
  void emitManyRows(Index products, function_ref<void(Index)> enter = nullptr);
  void emitRowBlock(Index panel, Index first, Index last, Index begin,
                    Index end, Source source);
  void emitTile(Index panel, int64_t half, Index row, int64_t count,
                Value lastRow, Index begin, Index end, Source source);
  Values accumulate(Index panel, int64_t half, ArrayRef<Index> inputRows,
                    Index begin, Index end, Source source, ValueRange init);
  /// Adds bias and residual, applies the activation, stores one row of a tile.
  void finish(Index panel, int64_t half, Index row, ValueRange sums);
  void activateStored(Index panel, int64_t half, Index row, Index end);
  Value columnMask(Index panel, int64_t vector) {
    return kb.maskBelow(args.n - (panel * panelWidth + vector * lanes));
  }
  Index outPlace(Index row, Index panel, Index vector) {
    return outAt + row * outRow + panel * panelWidth + vector * lanes;
  }

  KernelBuilder &kb;
  const MatMulSpec &spec;
  const MatMulArguments &args;
  int64_t rows;
  int64_t vectors;
  Index panels;
  /// Where the product at hand is, and from one row to the next.
  Index inputAt, outAt, inputRow, outRow;
  /// Where its panels are if they are floats, and from one to the next.
  Index weightAt, panelSize;
  /// Sums start from what is in the result.
  bool addToOut = false;
};

void MatMulEmitter::emit() {
  kb.ifThenElse(
      kb.eq(args.m, 1), [&] { emitVectorProduct(); },
      [&] {
        kb.ifThenElse(
            kb.lt(kb.index(rows), args.m),
            [&] {
              auto emitFloats = [&] {
                weightAt = kb.index(0);
                panelSize = args.k * panelWidth;
                emitManyRows(kb.index(1));
              };
              if (!kb.target.tiles || !fitsTiles(spec))
                return emitFloats();
              kb.ifThenElse(
                  kb.hasTiles(), [&] { emitMatMulTiles(kb, spec, args); },
                  emitFloats);
            },
            [&] {
              kb.ifThen(kb.lt(kb.index(0), args.m), [&] { emitFewRows(); });
            });
      });
}

//===----------------------------------------------------------------------===//
// One row
//===----------------------------------------------------------------------===//

void MatMulEmitter::emitVectorProduct() {
  int64_t streams = kb.target.streams();
  // With few panels it is better to have all threads than many streams.
  Value few = kb.lt(panels, kb.index(4 * streams));
  Index units = kb.index(kb.ifYield(
                               few, [&] { return Values{panels}; },
                               [&] { return Values{ceilDiv(panels, streams)}; })
                             .front());
  Index tasks = kb.tasksFor(panels * args.k * panelWidth, units);
  kb.parallelRanges(panels, tasks, [&](Index lo, Index hi) {
    Index middle = lo + (hi - lo) / streams * streams;
    kb.forLoop(lo, middle, streams,
               [&](Index panel) { emitStreams(panel, streams); });
    kb.forLoop(middle, hi, 1, [&](Index panel) { emitStreams(panel, 1); });
  });
}

void MatMulEmitter::emitStreams(Index panel, int64_t streams) {
  PanelReader reader(kb, spec.format, args.weight, 0, vectorsPerPanel);
  int64_t count = streams * vectorsPerPanel;
  // A single stream has too few sums to hide the latency of an addition:
  // neighbouring steps get sums of their own.
  int64_t unroll = 4;
  int64_t chains = streams == 1 ? unroll : 1;
  int64_t stepBytes = spec.format.stepSize() * (spec.format.isFloat() ? 4 : 1);
  Index length = spec.format.groupLength(args.k);
  // What is added to each weight of a group is multiplied with the sum of the
  // inputs, which is the last of the sums then.
  bool minimum = spec.format.minimum;

  auto product = [&](Index lo, Index hi, ArrayRef<Values> zeros) {
    Values init(count * chains + (minimum ? 1 : 0), kb.zeros());
    Values sums = kb.forUnrolled(
        lo, hi, unroll, init, [&](Index k, int64_t n, ValueRange iter) {
          Values next(iter);
          if (n == unroll)
            for (int64_t s = 0; s < streams; ++s)
              for (int64_t byte = 0; byte < unroll * stepBytes; byte += 64)
                kb.prefetch(args.weight.codes,
                            reader.codesAt(panel + s, k, args.k) +
                                (1024 + byte) /
                                    (spec.format.isFloat() ? 4 : 1));
          for (int64_t i = 0; i < n; ++i) {
            Value x = kb.loadSplat(args.input, k + i);
            if (minimum)
              next.back() = kb.fadd(next.back(), x);
            for (int64_t s = 0; s < streams; ++s) {
              Values weights = reader.loadStep(
                  reader.codesAt(panel + s, k + i, args.k),
                  zeros.empty() || minimum ? Values() : zeros[s]);
              for (int64_t v = 0; v < vectorsPerPanel; ++v) {
                Value &sum =
                    next[(i % chains) * count + s * vectorsPerPanel + v];
                sum = kb.fma(x, weights[v], sum);
              }
            }
          }
          return next;
        });
    for (int64_t chain = 1; chain < chains; ++chain)
      for (int64_t i = 0; i < count; ++i)
        sums[i] = kb.fadd(sums[i], sums[chain * count + i]);
    Value inputs = minimum ? sums.back() : Value();
    sums.resize(count);
    if (minimum)
      sums.push_back(inputs);
    return sums;
  };

  Values sums;
  if (spec.format.isFloat()) {
    sums = product(kb.index(0), args.k, {});
  } else {
    sums = kb.forLoop(
        kb.index(0), spec.format.numGroups(args.k), 1,
        Values(count, kb.zeros()), [&](Index group, ValueRange iter) {
          SmallVector<Values> zeros;
          if (spec.format.hasZeros)
            for (int64_t s = 0; s < streams; ++s)
              zeros.push_back(reader.loadZeros(panel + s, group, args.k));
          Values part =
              product(group * length, min((group + 1) * length, args.k), zeros);
          for (int64_t s = 0; s < streams; ++s) {
            Values scales = reader.loadScales(panel + s, group, args.k);
            for (int64_t v = 0; v < vectorsPerPanel; ++v) {
              int64_t i = s * vectorsPerPanel + v;
              part[i] = kb.fma(part[i], scales[v], iter[i]);
              if (minimum)
                part[i] = kb.fma(part.back(), zeros[s][v], part[i]);
            }
          }
          part.resize(count);
          return part;
        });
  }
  Index row = kb.index(0);
  for (int64_t s = 0; s < streams; ++s)
    for (int64_t half = 0; half < vectorsPerPanel; half += vectors) {
      finish(panel + s, half, row,
             ValueRange(sums).slice(s * vectorsPerPanel + half, vectors));
      activateStored(panel + s, half, row, row + 1);
    }
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

Values MatMulEmitter::accumulate(Index panel, int64_t half,
                                 ArrayRef<Index> inputRows, Index begin,
                                 Index end, Source source, ValueRange init) {
  auto multiply = [&](Index k, ValueRange weights, ValueRange iter) {
    Values next(iter);
    for (auto [r, row] : llvm::enumerate(inputRows)) {
      Value x = kb.loadSplat(args.input, row + k);
      for (int64_t v = 0; v < vectors; ++v)
        next[r * vectors + v] = kb.fma(x, weights[v], next[r * vectors + v]);
    }
    return next;
  };

  if (source.scratch)
    return kb.forLoop(begin, end, 1, init, [&](Index k, ValueRange iter) {
      Values weights;
      for (int64_t v = half; v < half + vectors; ++v)
        weights.push_back(kb.loadVector(
            source.scratch, source.at + (k - begin) * panelWidth + v * lanes));
      return multiply(k, weights, iter);
    });

  PanelReader reader(kb, spec.format, args.weight, half, vectors);
  Index length = spec.format.groupLength(args.k);
  return kb.forLoop(begin / length, ceilDiv(end, length), 1, init,
                    [&](Index group, ValueRange iter) {
                      Values scales = reader.loadScales(panel, group, args.k);
                      Values zeros = reader.loadZeros(panel, group, args.k);
                      return kb.forLoop(max(begin, group * length),
                                        min(end, (group + 1) * length), 1, iter,
                                        [&](Index k, ValueRange inner) {
                                          Values weights = reader.loadScaled(
                                              reader.codesAt(panel, k, args.k),
                                              scales, zeros);
                                          return multiply(k, weights, inner);
                                        });
                    });
}

/// One tile of `count` rows from `row` on. Rows from `lastRow` on do not exist
/// (null: all do): they read the last one and are not stored. Contraction
/// [begin, end): the first part starts from zero, later ones from what is in
/// `out`, the last one finishes.
void MatMulEmitter::emitTile(Index panel, int64_t half, Index row,
                             int64_t count, Value lastRow, Index begin,
                             Index end, Source source) {
  SmallVector<Index> outRows, inputRows;
  for (int64_t r = 0; r < count; ++r) {
    Index at = row + r;
    if (lastRow && r > 0)
      at = min(at, kb.index(lastRow) - 1);
    outRows.push_back(at);
    inputRows.push_back(inputAt + at * inputRow);
  }
  Values masks;
  for (int64_t v = half; v < half + vectors; ++v)
    masks.push_back(columnMask(panel, v));

  auto place = [&](int64_t r, int64_t v) {
    return outPlace(outRows[r], panel, kb.index(half + v));
  };
  auto loadSums = [&] {
    Values sums;
    for (int64_t r = 0; r < count; ++r)
      for (int64_t v = 0; v < vectors; ++v)
        sums.push_back(kb.loadMasked(args.out, place(r, v), masks[v]));
    return sums;
  };
  Values init =
      addToOut
          ? loadSums()
          : kb.ifYield(
                kb.eq(begin, 0),
                [&] { return Values(count * vectors, kb.zeros()); }, loadSums);
  Values sums = accumulate(panel, half, inputRows, begin, end, source, init);

  auto forRows = [&](function_ref<void(int64_t, ValueRange)> body) {
    for (int64_t r = 0; r < count; ++r) {
      ValueRange rowSums = ValueRange(sums).slice(r * vectors, vectors);
      if (lastRow && r > 0)
        kb.ifThen(kb.lt(row + r, kb.index(lastRow)), [&] { body(r, rowSums); });
      else
        body(r, rowSums);
    }
  };
  kb.ifThenElse(
      kb.lt(end, args.k),
      [&] {
        forRows([&](int64_t r, ValueRange rowSums) {
          for (int64_t v = 0; v < vectors; ++v)
            kb.storeMasked(rowSums[v], args.out, place(r, v), masks[v]);
        });
      },
      [&] {
        forRows([&](int64_t r, ValueRange rowSums) {
          finish(panel, half, outRows[r], rowSums);
        });
        Index stop = row + count;
        activateStored(panel, half, row,
                       lastRow ? min(stop, kb.index(lastRow)) : stop);
      });
}

void MatMulEmitter::finish(Index panel, int64_t half, Index row,
                           ValueRange sums) {
  for (int64_t v = 0; v < vectors; ++v) {
    Value mask = columnMask(panel, half + v);
    Value x = sums[v];
    Index column = panel * panelWidth + (half + v) * lanes;
    Index at = outPlace(row, panel, kb.index(half + v));
    x = addTerms(kb, spec.epilogue, args, x, column, at, mask);
    if (!KernelBuilder::isExpensive(spec.epilogue.activation))
      x = kb.emitActivation(spec.epilogue.activation, x);
    kb.storeMasked(x, args.out, at, mask);
  }
}

/// Expensive activations are applied in a loop over the rows just stored:
/// unrolled over a tile they would be most of the kernel.
void MatMulEmitter::activateStored(Index panel, int64_t half, Index row,
                                   Index end) {
  Activation activation = spec.epilogue.activation;
  if (!KernelBuilder::isExpensive(activation))
    return;
  kb.forLoop(row, end, 1, [&](Index r) {
    kb.forLoop(kb.index(half), kb.index(half + vectors), 1, [&](Index v) {
      Index at = outPlace(r, panel, v);
      Value mask = kb.maskBelow(args.n - (panel * panelWidth + v * lanes));
      Value x = kb.loadMasked(args.out, at, mask);
      kb.storeMasked(kb.emitActivation(activation, x), args.out, at, mask);
    });
  });
}

//===----------------------------------------------------------------------===//
// Several rows
//===----------------------------------------------------------------------===//

void MatMulEmitter::emitFewRows() {
  Index zero = kb.index(0);
  Index tasks = kb.tasksFor(panels * args.k * panelWidth * args.m, panels);
  kb.parallelRanges(panels, tasks, [&](Index lo, Index hi) {
    kb.forLoop(lo, hi, 1, [&](Index panel) {
      for (int64_t half = 0; half < vectorsPerPanel; half += vectors)
        kb.ifThenElse(
            kb.le(args.m, kb.index(rows / 2)),
            [&] {
              emitTile(panel, half, zero, rows / 2, args.m, zero, args.k, {});
            },
            [&] {
              emitTile(panel, half, zero, rows, args.m, zero, args.k, {});
            });
    });
  });
}

void MatMulEmitter::emitRowBlock(Index panel, Index first, Index last,
                                 Index begin, Index end, Source source) {
  for (int64_t half = 0; half < vectorsPerPanel; half += vectors) {
    Index middle = first + (last - first) / rows * rows;
    kb.forLoop(first, middle, rows, [&](Index row) {
      emitTile(panel, half, row, rows, Value(), begin, end, source);
    });
    Index rest = last - middle;
    kb.ifThen(kb.lt(kb.index(0), rest), [&] {
      kb.ifThenElse(
          kb.le(rest, kb.index(rows / 2)),
          [&] {
            emitTile(panel, half, middle, rows / 2, last, begin, end, source);
          },
          [&] {
            emitTile(panel, half, middle, rows, last, begin, end, source);
          });
    });
  }
}

void MatMulEmitter::emitManyRows(Index products,
                                 function_ref<void(Index)> enter) {
  Index zero = kb.index(0);
  Index rowBlocks = ceilDiv(args.m, blockRows);
  // Fewer panels for a task when there are few: all threads must have work.
  Index chunk = max(min(products * panels * rowBlocks / 8, blockPanels), 1);
  Index chunks = ceilDiv(panels, chunk);
  Index productUnits = rowBlocks * chunks;
  Index units = products * productUnits;
  // As in a convolution: tiles of many rows wait for no memory.
  Index work = products * panels * panelWidth * args.k * args.m / 4;
  Index tasks = kb.tasksFor(work, units);
  kb.parallelRanges(units, tasks, [&](Index lo, Index hi) {
    Value scratch;
    if (!spec.format.isFloat())
      scratch = kb.scratch(blockSteps * panelWidth);
    kb.forLoop(lo, hi, 1, [&](Index number) {
      Index unit = number;
      if (enter) {
        enter(number / productUnits);
        unit = number % productUnits;
      }
      Index first = unit / chunks * blockRows;
      Index last = min(first + blockRows, args.m);
      Index firstPanel = unit % chunks * chunk;
      Index lastPanel = min(firstPanel + chunk, panels);
      kb.forLoop(zero, args.k, blockSteps, [&](Index begin) {
        Index end = min(begin + blockSteps, args.k);
        kb.forLoop(firstPanel, lastPanel, 1, [&](Index panel) {
          Source source;
          if (spec.format.isFloat()) {
            source = {args.weight.codes,
                      weightAt + panel * panelSize + begin * panelWidth};
          } else {
            emitUnpackPanel(kb, spec.format, args.weight, panel, begin, end,
                            args.k, scratch);
            source = {scratch, zero};
          }
          emitRowBlock(panel, first, last, begin, end, source);
        });
      });
    });
  });
}

void MatMulEmitter::emitBatch(const MatMulBatch &batch) {
  addToOut = batch.accumulate;
  inputRow = batch.input.row;
  outRow = batch.out.row;
  panelSize = batch.panel;
  emitManyRows(batch.count, [&](Index number) {
    inputAt = batch.at(batch.input, number);
    outAt = batch.at(batch.out, number);
    weightAt = number * panels * panelSize;
  });
}

} // namespace

Value addTerms(KernelBuilder &kb, const EpilogueSpec &spec,
               const MatMulArguments &args, Value sums, Index column, Index at,
               Value mask) {
  if (spec.bias)
    sums = kb.fadd(sums, kb.loadMasked(args.bias, column, mask));
  if (spec.residual)
    sums = kb.fadd(sums, kb.loadMasked(args.residual, at, mask));
  return sums;
}

std::string EpilogueSpec::getName() const {
  std::string name;
  if (bias)
    name += "_bias";
  if (residual)
    name += "_residual";
  if (activation != Activation::None)
    name += "_" + stringifyActivation(activation).str();
  return name;
}

std::string MatMulSpec::getName() const {
  return "nibble_matmul_" + format.getName() + epilogue.getName();
}

void emitMatMul(KernelBuilder &kernel, const MatMulSpec &spec,
                const MatMulArguments &arguments) {
  MatMulEmitter(kernel, spec, arguments).emit();
}

void emitMatMulBatch(KernelBuilder &kernel, const MatMulArguments &arguments,
                     const MatMulBatch &batch) {
  MatMulEmitter(kernel, MatMulSpec(), arguments).emitBatch(batch);
}

} // namespace nibble::codegen
