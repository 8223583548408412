//===- AttentionManyRows.cpp - Attention of a prompt ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionEmitter.h"

#include "Lanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

/// Keys of a block. Their values (16 KiB for 64 columns), the scores and the
/// sums of a task fit together into the first-level cache.
constexpr int64_t blockKeys = 64;
/// Tasks that there should be at least, for two threads and more.
constexpr int64_t enoughUnits = 8;

class ManyRowsEmitter : public AttentionEmitter {
public:
  ManyRowsEmitter(KernelBuilder &kernel, const AttentionSpec &spec,
                  const AttentionArguments &arguments)
      : AttentionEmitter(kernel, spec, arguments),
        // 8 x 3 sums of 16 fill 24 of 32 registers, 4 x 2 half vectors 8 of
        // 16.
        streams(kernel.target.avx512 ? 8 : 4),
        tileVectors(kernel.target.avx512 ? 3 : 1),
        blockVectors(kernel.target.avx512 ? 3 : 2) {}

  void emit();

private:
  /// Rows of keys or values in the type of the sums.
  struct Source {
    Value memory;
    Index at, stride;
  };

  void allocate();
  void emitBlock(int64_t vectors, const Pair &pair, Index firstRow,
                 Index numRows);
  void packQueries(const Pair &pair, Index firstRow, Index numRows);
  void noteRows(const Pair &pair, Index firstRow, Index numRows);
  void emitKeys(const Pair &pair, Index begin, Index count);
  void storeMasks(Index begin, Index count);
  void emitScores(Index begin, Index count, Source keys);
  void emitWeights(Index count);
  void emitSums(Index count, Source values);
  void emitSumTile(Index column, bool partial, Index count, Source values,
                   int64_t vector, int64_t width);
  void storeResult(const Pair &pair, Index firstRow, Index numRows);
  Source getSource(const HeadMemory &memory, Type element, Index width,
                   const Pair &pair, Index begin, Index count);
  Values multiply(ArrayRef<Index> at, Value memory, Index step, Value right,
                  Index rightAt, int64_t tileWidth, Index count, Values init);
  /// `body` for groups of vectors of rows that go through a tile together.
  void forTiles(function_ref<void(int64_t, int64_t)> body);
  Index clampRow(Index firstRow, Index i, Index numRows) {
    return firstRow + min(i, numRows - 1);
  }

  int64_t streams, tileVectors, blockVectors;
  /// Vectors of rows of the block that is built, and their rows.
  int64_t vectors = 0, width = 0;
  /// Queries [column][row], scores and weights [key][row], sums [column][row].
  Value queries, scores, sums;
  /// Running maximum and sum, and the factor of older sums, [row].
  Value maxima, totals, factors;
  /// Where each row reads its query or mask and writes its result.
  Value positions, maskAt, maskColumns;
  /// What the mask adds to the keys of a block, of all rows.
  Value maskRow;
  /// A block of keys or values in the type of the sums.
  Value converted;
  Index convertedStride;
};

} // namespace

void ManyRowsEmitter::emit() {
  int64_t most = blockVectors * lanes;
  // With few blocks it is better to have smaller ones for all threads.
  Value few = kb.lt(pairs * ceilDiv(rows, most), kb.index(enoughUnits));
  Index blockRows = kb.index(select(few, kb.index(lanes), kb.index(most)));
  Index blocks = ceilDiv(rows, blockRows);
  Index units = pairs * blocks;
  Index work = pairs * rows * args.keys * (args.width + args.valueWidth) / 4;
  kb.parallelRanges(units, kb.tasksFor(work, units), [&](Index lo, Index hi) {
    allocate();
    kb.forLoop(lo, hi, 1, [&](Index unit) {
      Pair pair = getPair(unit / blocks);
      Index block = unit % blocks;
      // Later queries see more keys: blocks from both ends in turns give
      // ranges of blocks that are equal work.
      if (spec.reach) {
        Value isEven = kb.eq(block % kb.index(2), 0);
        block = kb.index(select(isEven, block / 2, blocks - 1 - block / 2));
      }
      Index firstRow = block * blockRows;
      Index numRows = min(blockRows, rows - firstRow);
      kb.ifThenElse(
          kb.le(numRows, kb.index(lanes)),
          [&] { emitBlock(1, pair, firstRow, numRows); },
          [&] { emitBlock(blockVectors, pair, firstRow, numRows); });
    });
    freeScratch();
  });
}

void ManyRowsEmitter::allocate() {
  int64_t most = blockVectors * lanes;
  queries = takeScratch(padded(args.width) * most, stackSize(most, spec.width));
  sums = takeScratch(padded(args.valueWidth) * most,
                     stackSize(most, spec.valueWidth));
  scores = kb.scratch(blockKeys * most, acc);
  maxima = kb.scratch(most, acc);
  totals = kb.scratch(most, acc);
  factors = kb.scratch(most, acc);
  positions = kb.scratch(most, kb.b.getIndexType());
  if (spec.maskElement) {
    if (spec.maskColumn)
      maskColumns = kb.scratch(most, acc);
    else if (spec.maskRow)
      maskRow = kb.scratch(blockKeys, acc);
    else
      maskAt = kb.scratch(most, kb.b.getIndexType());
  }
  allocateBounds(most);
  bool keys = spec.element != acc, values = spec.valueElement != acc;
  if (!keys && !values)
    return;
  convertedStride = padded(max(args.width, args.valueWidth));
  bool known = !ShapedType::isDynamic(spec.width) &&
               !ShapedType::isDynamic(spec.valueWidth);
  converted = takeScratch(
      convertedStride * blockKeys,
      known ? stackSize(blockKeys, std::max(spec.width, spec.valueWidth)) : -1);
}

void ManyRowsEmitter::forTiles(function_ref<void(int64_t, int64_t)> body) {
  for (int64_t v = 0; v < vectors; v += tileVectors)
    body(v, std::min(tileVectors, vectors - v));
}

void ManyRowsEmitter::emitBlock(int64_t numVectors, const Pair &pair,
                                Index firstRow, Index numRows) {
  vectors = numVectors;
  width = numVectors * lanes;
  noteRows(pair, firstRow, numRows);
  packQueries(pair, firstRow, numRows);
  Index zero = kb.index(0);
  kb.forLoop(zero, padded(args.valueWidth) * width, lanes,
             [&](Index i) { kb.storeVector(constants(0), sums, i); });
  for (int64_t v = 0; v < vectors; ++v) {
    kb.storeVector(minusInfinity(), maxima, kb.index(v * lanes));
    kb.storeVector(constants(0), totals, kb.index(v * lanes));
  }
  Index lastRow = firstRow + numRows - 1;
  Index begin = firstSeen(pair, firstRow / args.group);
  Index end = endOfSeen(pair, lastRow / args.group);
  kb.forLoop(begin, end, blockKeys,
             [&](Index at) { emitKeys(pair, at, min(end - at, blockKeys)); });
  storeResult(pair, firstRow, numRows);
}

void ManyRowsEmitter::noteRows(const Pair &pair, Index firstRow,
                               Index numRows) {
  kb.forLoop(kb.index(0), kb.index(width), 1, [&](Index i) {
    Index row = clampRow(firstRow, i, numRows);
    kb.store(rowAt(args.query, pair, row), positions, i);
    storeBounds(pair, row, i);
    if (maskColumns)
      kb.store(loadMaskColumn(rowAt(args.mask, pair, row)), maskColumns, i);
    if (maskAt)
      kb.store(rowAt(args.mask, pair, row), maskAt, i);
  });
}

void ManyRowsEmitter::packQueries(const Pair &pair, Index firstRow,
                                  Index numRows) {
  Value scale = kb.splat(args.scale);
  Index zero = kb.index(0);
  kb.forLoop(zero, kb.index(vectors), 1, [&](Index v) {
    kb.forLoop(zero, args.width, lanes, [&](Index column) {
      Value exists = kb.maskBelow(args.width - column);
      Values loaded;
      for (int64_t i = 0; i < lanes; ++i) {
        Index at = kb.index(kb.load(positions, v * lanes + i)) + column;
        loaded.push_back(
            kb.fmul(loadWide(args.query.memory, at, exists), scale));
      }
      loaded = transposeLanes(kb, loaded);
      for (int64_t i = 0; i < lanes; ++i)
        kb.storeVector(loaded[i], queries, (column + i) * width + v * lanes);
    });
  });
}

void ManyRowsEmitter::emitKeys(const Pair &pair, Index begin, Index count) {
  if (maskAt)
    storeMasks(begin, count);
  if (maskRow)
    kb.forLoop(kb.index(0), count, lanes, [&](Index key) {
      Index at = pair.batch * args.mask.batch + begin + key;
      kb.storeVector(loadMask(at, kb.maskBelow(count - key)), maskRow, key);
    });
  emitScores(begin, count,
             getSource(args.key, spec.element, args.width, pair, begin, count));
  emitWeights(count);
  emitSums(count, getSource(args.value, spec.valueElement, args.valueWidth,
                            pair, begin, count));
}

/// The block itself or, in another type, a copy of it: each element is read
/// for every few rows, and conversion is not free.
ManyRowsEmitter::Source ManyRowsEmitter::getSource(const HeadMemory &memory,
                                                   Type element, Index columns,
                                                   const Pair &pair,
                                                   Index begin, Index count) {
  Index at = tokenAt(memory, pair, begin);
  if (element == acc)
    return {memory.memory, at, memory.token};
  Index zero = kb.index(0);
  kb.forLoop(zero, count, 1, [&](Index token) {
    kb.forLoop(zero, columns, lanes, [&](Index column) {
      Value x = loadWide(memory.memory, at + token * memory.token + column,
                         kb.maskBelow(columns - column));
      kb.storeVector(x, converted, token * convertedStride + column);
    });
  });
  return {converted, zero, convertedStride};
}

/// Puts what the mask adds where the scores will be.
void ManyRowsEmitter::storeMasks(Index begin, Index count) {
  Index zero = kb.index(0);
  kb.forLoop(zero, kb.index(vectors), 1, [&](Index v) {
    kb.forLoop(zero, count, lanes, [&](Index key) {
      Value exists = kb.maskBelow(count - key);
      Values loaded;
      for (int64_t i = 0; i < lanes; ++i)
        loaded.push_back(loadMask(
            kb.index(kb.load(maskAt, v * lanes + i)) + begin + key, exists));
      loaded = transposeLanes(kb, loaded);
      for (int64_t i = 0; i < lanes; ++i)
        kb.storeVector(loaded[i], scores, (key + i) * width + v * lanes);
    });
  });
}

/// Adds to `init[i * width + v]` the sum over s of `memory[at[i] + s * step]`
/// times the vector v of row s at `right[rightAt]`.
Values ManyRowsEmitter::multiply(ArrayRef<Index> at, Value memory, Index step,
                                 Value right, Index rightAt, int64_t tileWidth,
                                 Index count, Values init) {
  return kb.forLoop(kb.index(0), count, 1, init, [&](Index s, ValueRange iter) {
    Values loaded, next(iter);
    for (int64_t v = 0; v < tileWidth; ++v)
      loaded.push_back(kb.loadVector(right, rightAt + s * width + v * lanes));
    for (auto [i, stream] : llvm::enumerate(at)) {
      Value x = kb.loadSplat(memory, stream + s * step);
      for (int64_t v = 0; v < tileWidth; ++v)
        next[i * tileWidth + v] = kb.fma(x, loaded[v], next[i * tileWidth + v]);
    }
    return next;
  });
}

void ManyRowsEmitter::emitScores(Index begin, Index count, Source keys) {
  forTiles([&](int64_t v, int64_t tileWidth) {
    auto each = [&](Value memory) {
      Values loaded;
      for (int64_t i = 0; i < tileWidth; ++i)
        loaded.push_back(memory
                             ? kb.loadVector(memory, kb.index((v + i) * lanes))
                             : Value());
      return loaded;
    };
    Values seenTo = each(last), seenFrom = each(first),
           column = each(maskColumns);
    Values largest = kb.forLoop(
        kb.index(0), count, streams, each(maxima),
        [&](Index key, ValueRange iter) {
          SmallVector<Index> at;
          // Keys behind the last one are the last one; nobody sees them.
          for (int64_t i = 0; i < streams; ++i)
            at.push_back(keys.at + min(key + i, count - 1) * keys.stride);
          Values products = multiply(at, keys.memory, kb.index(1), queries,
                                     kb.index(v * lanes), tileWidth, args.width,
                                     Values(streams * tileWidth, constants(0)));
          Values next(iter);
          for (int64_t i = 0; i < streams; ++i) {
            Value number = kb.splat(toI32(begin + key + i));
            Value ofKey = maskRow ? kb.loadSplat(maskRow, key + i) : Value();
            for (int64_t j = 0; j < tileWidth; ++j) {
              Index to = (key + i) * width + (v + j) * lanes;
              Value x = capScore(products[i * tileWidth + j]);
              if (maskAt)
                x = kb.fadd(x, kb.loadVector(scores, to));
              if (maskRow)
                x = kb.fadd(x, ofKey);
              if (maskColumns)
                x = kb.fadd(x, column[j]);
              x = select(sle(number, seenTo[j]), x, minusInfinity());
              if (spec.left)
                x = select(sle(seenFrom[j], number), x, minusInfinity());
              next[j] = larger(kb, x, next[j]);
              kb.storeVector(x, scores, to);
            }
          }
          return next;
        });
    for (int64_t i = 0; i < tileWidth; ++i) {
      Index at = kb.index((v + i) * lanes);
      Value before = kb.loadVector(maxima, at);
      Value reference = asReference(largest[i]);
      kb.storeVector(emitExpNonPositive(kb, kb.fsub(before, reference)),
                     factors, at);
      kb.storeVector(largest[i], maxima, at);
    }
  });
}

/// Scores to weights; both are in the same place.
void ManyRowsEmitter::emitWeights(Index count) {
  forTiles([&](int64_t v, int64_t tileWidth) {
    Values reference, total;
    for (int64_t i = 0; i < tileWidth; ++i) {
      Index at = kb.index((v + i) * lanes);
      reference.push_back(asReference(kb.loadVector(maxima, at)));
      total.push_back(
          kb.fmul(kb.loadVector(totals, at), kb.loadVector(factors, at)));
    }
    total = kb.forLoop(
        kb.index(0), count, 1, total, [&](Index key, ValueRange iter) {
          Values next;
          for (int64_t i = 0; i < tileWidth; ++i) {
            Index at = key * width + (v + i) * lanes;
            Value x = emitExpNonPositive(
                kb, kb.fsub(kb.loadVector(scores, at), reference[i]));
            kb.storeVector(x, scores, at);
            next.push_back(kb.fadd(iter[i], x));
          }
          return next;
        });
    for (int64_t i = 0; i < tileWidth; ++i)
      kb.storeVector(total[i], totals, kb.index((v + i) * lanes));
  });
}

void ManyRowsEmitter::emitSumTile(Index column, bool partial, Index count,
                                  Source values, int64_t v, int64_t tileWidth) {
  SmallVector<Index> at;
  // Columns behind the last one are the last one; what they give is not used.
  for (int64_t i = 0; i < streams; ++i)
    at.push_back(values.at +
                 (partial ? min(column + i, args.valueWidth - 1) : column + i));
  Values init;
  for (int64_t i = 0; i < streams; ++i)
    for (int64_t j = 0; j < tileWidth; ++j)
      init.push_back(
          kb.fmul(kb.loadVector(sums, (column + i) * width + (v + j) * lanes),
                  kb.loadVector(factors, kb.index((v + j) * lanes))));
  Values products = multiply(at, values.memory, values.stride, scores,
                             kb.index(v * lanes), tileWidth, count, init);
  for (int64_t i = 0; i < streams; ++i)
    for (int64_t j = 0; j < tileWidth; ++j)
      kb.storeVector(products[i * tileWidth + j], sums,
                     (column + i) * width + (v + j) * lanes);
}

void ManyRowsEmitter::emitSums(Index count, Source values) {
  Index middle = args.valueWidth / streams * streams;
  forTiles([&](int64_t v, int64_t tileWidth) {
    kb.forLoop(kb.index(0), middle, streams, [&](Index column) {
      emitSumTile(column, /*partial=*/false, count, values, v, tileWidth);
    });
    if (ShapedType::isDynamic(spec.valueWidth) ||
        spec.valueWidth % streams != 0)
      kb.ifThen(kb.lt(middle, args.valueWidth), [&] {
        emitSumTile(middle, /*partial=*/true, count, values, v, tileWidth);
      });
  });
}

void ManyRowsEmitter::storeResult(const Pair &pair, Index firstRow,
                                  Index numRows) {
  Index zero = kb.index(0);
  kb.forLoop(zero, numRows, 1, [&](Index i) {
    kb.store(rowAt(args.out, pair, firstRow + i), positions, i);
  });
  kb.forLoop(zero, kb.index(vectors), 1, [&](Index v) {
    Value inverse = reciprocal(kb.loadVector(totals, v * lanes));
    kb.forLoop(zero, args.valueWidth, lanes, [&](Index column) {
      Value exists = kb.maskBelow(args.valueWidth - column);
      Values loaded;
      for (int64_t i = 0; i < lanes; ++i)
        loaded.push_back(kb.fmul(
            kb.loadVector(sums, (column + i) * width + v * lanes), inverse));
      loaded = transposeLanes(kb, loaded);
      for (int64_t i = 0; i < lanes; ++i) {
        Index row = v * lanes + i;
        kb.ifThen(kb.lt(row, numRows), [&] {
          storeNarrow(loaded[i], args.out.memory,
                      kb.index(kb.load(positions, row)) + column, exists);
        });
      }
    });
  });
}

void emitManyRowsAttention(KernelBuilder &kernel, const AttentionSpec &spec,
                           const AttentionArguments &arguments) {
  ManyRowsEmitter(kernel, spec, arguments).emit();
}

} // namespace nibble::codegen
