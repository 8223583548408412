//===- AttentionFewRows.cpp - Attention of a step of generation -----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionEmitter.h"

#include "Lanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

/// Keys of a block: they are still in the first-level cache when the last row
/// reads them.
constexpr int64_t blockKeys = 64;
/// Keys that are worth a task, and the most tasks that keys are cut into.
constexpr int64_t chunkKeys = 256, maxUnits = 64;

class FewRowsEmitter : public AttentionEmitter {
public:
  FewRowsEmitter(KernelBuilder &kernel, const AttentionSpec &spec,
                 const AttentionArguments &arguments);
  void emit();

private:
  void emitUnit(const Pair &pair, Index chunk, Index chunks);
  void prepareRows(const Pair &pair);
  void emitScores(const Pair &pair, Index begin, Index count);
  Values dotProducts(const Pair &pair, Index begin, Index count, Index row);
  void emitWeights();
  void emitSums(const Pair &pair, Index begin, Index count);
  /// Asks for `count` rows of keys or values before they are needed: they come
  /// from memory, and one stream of loads does not keep it busy.
  void prefetchRows(const HeadMemory &memory, Type element, int64_t columns,
                    Index at, int64_t count);
  void emitSumTile(Index valueAt, Index row, Index column, int64_t width,
                   Value exists, Index count);
  void merge(Index chunks);

  /// Results of a task: for each row the sums, the maximum and the total of
  /// weights, the last two in all lanes.
  Index partAt(Index unit, Index row) { return (unit * rows + row) * partSize; }
  Index maximumAt(Index row) { return unitAt + row * partSize + sumSize; }
  Index totalAt(Index row) { return maximumAt(row) + lanes; }

  /// Rows that read a value together; the last ones may be the last row again.
  int64_t tileRows;
  /// Vectors of a result that are summed at a time.
  int64_t sumVectors;
  Index sumSize, partSize, tiles;
  Value parts, queries, scores, factors, maskAt, maskColumns;
  /// Where the results of the task at hand are, and how many vectors of scores
  /// its block has.
  Index unitAt, scoreVectors;
  /// The keys of the next block.
  Index nextKeys;
};

} // namespace

FewRowsEmitter::FewRowsEmitter(KernelBuilder &kernel, const AttentionSpec &spec,
                               const AttentionArguments &arguments)
    : AttentionEmitter(kernel, spec, arguments),
      tileRows(kernel.target.avx512 ? 4 : 2),
      sumVectors(kernel.target.avx512 ? 4 : 2) {
  // The rows of one step are a group: tiles that fit it.
  if (!ShapedType::isDynamic(spec.group) && spec.group > 0 &&
      spec.group <= maxFewRows)
    tileRows =
        llvm::divideCeil(spec.group, llvm::divideCeil(spec.group, tileRows));
  sumSize = padded(args.valueWidth);
  partSize = sumSize + 2 * lanes;
  tiles = ceilDiv(rows, tileRows);
}

void FewRowsEmitter::emit() {
  Index most = max(kb.index(maxUnits) / max(pairs, 1), 1);
  Index chunks = min(max(args.keys / chunkKeys, 1), most);
  Index units = pairs * chunks;
  auto type = MemRefType::get({ShapedType::kDynamic}, acc);
  parts = memref::AllocOp::create(kb.b, kb.loc, type,
                                  ValueRange{partAt(units, kb.index(0))},
                                  kb.b.getI64IntegerAttr(64));
  // Keys that are in a cache are soon through: threads must pay.
  Index work = pairs * rows * args.keys * (args.width + args.valueWidth) / 2;
  kb.parallelRanges(units, kb.tasksFor(work, units), [&](Index lo, Index hi) {
    queries = takeScratch(padded(args.width) * maxFewRows,
                          stackSize(maxFewRows, spec.width));
    scores = kb.scratch(maxFewRows * blockKeys, acc);
    factors = kb.scratch(maxFewRows, acc);
    allocateBounds(maxFewRows);
    if (spec.maskElement) {
      if (spec.maskColumn)
        maskColumns = kb.scratch(maxFewRows, acc);
      else
        maskAt = kb.scratch(maxFewRows, kb.b.getIndexType());
    }
    kb.forLoop(lo, hi, 1, [&](Index unit) {
      unitAt = partAt(unit, kb.index(0));
      emitUnit(getPair(unit / chunks), unit % chunks, chunks);
    });
    freeScratch();
  });
  merge(chunks);
  memref::DeallocOp::create(kb.b, kb.loc, parts);
}

void FewRowsEmitter::emitUnit(const Pair &pair, Index chunk, Index chunks) {
  prepareRows(pair);
  Index begin = firstSeen(pair, kb.index(0));
  Index seen = max(endOfSeen(pair, args.queries - 1) - begin, 0);
  Index end = begin + (chunk + 1) * seen / chunks;
  kb.forLoop(begin + chunk * seen / chunks, end, blockKeys, [&](Index at) {
    Index count = min(end - at, blockKeys);
    scoreVectors = ceilDiv(count, lanes);
    emitScores(pair, at, count);
    emitWeights();
    emitSums(pair, at, count);
  });
}

void FewRowsEmitter::prepareRows(const Pair &pair) {
  Value scale = kb.splat(args.scale);
  Index zero = kb.index(0);
  kb.forLoop(zero, rows, 1, [&](Index row) {
    Index from = rowAt(args.query, pair, row);
    kb.forLoop(zero, args.width, lanes, [&](Index column) {
      Value x = loadWide(args.query.memory, from + column,
                         kb.maskBelow(args.width - column));
      kb.storeVector(kb.fmul(x, scale), queries,
                     row * padded(args.width) + column);
    });
    storeBounds(pair, row, row);
    if (maskAt)
      kb.store(rowAt(args.mask, pair, row), maskAt, row);
    if (maskColumns)
      kb.store(loadMaskColumn(rowAt(args.mask, pair, row)), maskColumns, row);
    kb.forLoop(zero, sumSize, lanes, [&](Index column) {
      kb.storeVector(constants(0), parts, unitAt + row * partSize + column);
    });
    kb.storeVector(minusInfinity(), parts, maximumAt(row));
    kb.storeVector(constants(0), parts, totalAt(row));
  });
}

void FewRowsEmitter::emitScores(const Pair &pair, Index begin, Index count) {
  SmallVector<int32_t> numbers = llvm::to_vector(llvm::seq<int32_t>(0, lanes));
  // Keys in the inner loop: were rows there, LLVM would keep the vectors of 16
  // keys, far more than there are registers, on the stack.
  Index zero = kb.index(0);
  kb.forLoop(zero, rows, 1, [&](Index row) {
    kb.forLoop(zero, count, lanes, [&](Index key) {
      kb.ifThen(kb.eq(row, 0), [&] {
        prefetchRows(args.value, spec.valueElement, spec.valueWidth,
                     tokenAt(args.value, pair, begin + key), lanes);
      });
      Value exists = kb.maskBelow(count - key);
      Value number = arith::AddIOp::create(
          kb.b, kb.loc, kb.splat(toI32(begin + key)), kb.constantI32(numbers));
      Value x = sumLanes(kb, dotProducts(pair, begin + key, count - key, row));
      x = capScore(x);
      if (maskAt)
        x = kb.fadd(
            x, loadMask(kb.index(kb.load(maskAt, row)) + begin + key, exists));
      if (maskColumns)
        x = kb.fadd(x, kb.loadSplat(maskColumns, row));
      Value seen = kb.both(exists, sle(number, kb.loadSplat(last, row)));
      if (spec.left)
        seen = kb.both(seen, sle(kb.loadSplat(first, row), number));
      kb.storeVector(select(seen, x, minusInfinity()), scores,
                     row * blockKeys + key);
    });
  });
}

void FewRowsEmitter::prefetchRows(const HeadMemory &memory, Type element,
                                  int64_t columns, Index at, int64_t count) {
  constexpr int64_t lineBytes = 64, maxColumns = 256;
  if (ShapedType::isDynamic(columns) || columns > maxColumns)
    return;
  int64_t step = lineBytes * 8 / element.getIntOrFloatBitWidth();
  for (int64_t i = 0; i < count; ++i)
    for (int64_t column = 0; column < columns; column += step)
      kb.prefetch(memory.memory, at + memory.token * i + column);
}

/// Products of one row and 16 keys, by columns that lie 16 apart.
Values FewRowsEmitter::dotProducts(const Pair &pair, Index begin, Index count,
                                   Index row) {
  SmallVector<Index> at;
  // Keys behind the last one are the last one.
  for (int64_t i = 0; i < lanes; ++i)
    at.push_back(tokenAt(args.key, pair, begin + min(kb.index(i), count - 1)));
  auto add = [&](Index column, Value exists, ValueRange iter) {
    Value query = kb.loadVector(queries, row * padded(args.width) + column);
    Values next;
    for (int64_t i = 0; i < lanes; ++i)
      next.push_back(kb.fma(
          query, loadWide(args.key.memory, at[i] + column, exists), iter[i]));
    return next;
  };
  Index middle = args.width / lanes * lanes;
  Values products = kb.forLoop(
      kb.index(0), middle, lanes, Values(lanes, constants(0)),
      [&](Index column, ValueRange iter) { return add(column, {}, iter); });
  if (!ShapedType::isDynamic(spec.width) && spec.width % lanes == 0)
    return products;
  return kb.forLoop(
      middle, args.width, lanes, products, [&](Index column, ValueRange iter) {
        return add(column, kb.maskBelow(args.width - column), iter);
      });
}

/// Scores to weights; both are in the same place.
void FewRowsEmitter::emitWeights() {
  Index zero = kb.index(0), end = scoreVectors * lanes;
  kb.forLoop(zero, rows, 1, [&](Index row) {
    Index from = row * blockKeys;
    Value before = kb.loadVector(parts, maximumAt(row));
    Values most = kb.forLoop(
        zero, end, lanes, Values{before}, [&](Index key, ValueRange iter) {
          return Values{larger(kb, kb.loadVector(scores, from + key), iter[0])};
        });
    Value maximum = kb.splat(vector::ReductionOp::create(
        kb.b, kb.loc, vector::CombiningKind::MAXNUMF, most[0]));
    Value reference = asReference(maximum);
    Value factor = emitExpNonPositive(kb, kb.fsub(before, reference));
    Values total = kb.forLoop(
        zero, end, lanes, Values{constants(0)},
        [&](Index key, ValueRange iter) {
          Value x = emitExpNonPositive(
              kb, kb.fsub(kb.loadVector(scores, from + key), reference));
          kb.storeVector(x, scores, from + key);
          return Values{kb.fadd(iter[0], x)};
        });
    Value sum = kb.splat(vector::ReductionOp::create(
        kb.b, kb.loc, vector::CombiningKind::ADD, total[0]));
    kb.storeVector(maximum, parts, maximumAt(row));
    kb.storeVector(kb.fma(kb.loadVector(parts, totalAt(row)), factor, sum),
                   parts, totalAt(row));
    kb.store(vector::ExtractOp::create(kb.b, kb.loc, factor, 0), factors, row);
  });
}

void FewRowsEmitter::emitSums(const Pair &pair, Index begin, Index count) {
  Index from = tokenAt(args.value, pair, begin);
  nextKeys = tokenAt(args.key, pair, begin + blockKeys);
  int64_t step = sumVectors * lanes;
  bool known = !ShapedType::isDynamic(spec.valueWidth);
  kb.forLoop(kb.index(0), tiles, 1, [&](Index tile) {
    Index row = tile * tileRows;
    Index middle = args.valueWidth / step * step;
    if (!known || spec.valueWidth >= step)
      kb.forLoop(kb.index(0), middle, step, [&](Index column) {
        emitSumTile(from, row, column, sumVectors, {}, count);
      });
    if (!known || spec.valueWidth % step != 0)
      kb.forLoop(middle, args.valueWidth, lanes, [&](Index column) {
        emitSumTile(from, row, column, 1,
                    kb.maskBelow(args.valueWidth - column), count);
      });
  });
}

void FewRowsEmitter::emitSumTile(Index valueAt, Index row, Index column,
                                 int64_t width, Value exists, Index count) {
  // Rows behind the last one are the last one, and are not stored.
  SmallVector<Index> sumAt, weightAt;
  Values init;
  for (int64_t r = 0; r < tileRows; ++r) {
    Index own = min(row + r, rows - 1);
    sumAt.push_back(unitAt + own * partSize + column);
    weightAt.push_back(own * blockKeys);
    Value factor = kb.loadSplat(factors, own);
    for (int64_t v = 0; v < width; ++v)
      init.push_back(
          kb.fmul(kb.loadVector(parts, sumAt[r] + v * lanes), factor));
  }
  Values sums =
      kb.forLoop(kb.index(0), count, 1, init, [&](Index key, ValueRange iter) {
        Values loaded, next(iter);
        prefetchRows(args.key, spec.element, width * lanes,
                     nextKeys + key * args.key.token + column, 1);
        Index at = valueAt + key * args.value.token + column;
        for (int64_t v = 0; v < width; ++v)
          loaded.push_back(loadWide(args.value.memory, at + v * lanes, exists));
        for (int64_t r = 0; r < tileRows; ++r) {
          Value weight = kb.loadSplat(scores, weightAt[r] + key);
          for (int64_t v = 0; v < width; ++v)
            next[r * width + v] =
                kb.fma(weight, loaded[v], next[r * width + v]);
        }
        return next;
      });
  for (int64_t r = 0; r < tileRows; ++r) {
    auto store = [&] {
      for (int64_t v = 0; v < width; ++v)
        kb.storeVector(sums[r * width + v], parts, sumAt[r] + v * lanes);
    };
    if (r == 0)
      store();
    else
      kb.ifThen(kb.lt(row + r, rows), store);
  }
}

/// Brings the parts of each row to one maximum and divides by the total.
void FewRowsEmitter::merge(Index chunks) {
  Index zero = kb.index(0), results = pairs * rows;
  Index tasks = kb.tasksFor(results * chunks * args.valueWidth, results);
  kb.parallelRanges(results, tasks, [&](Index lo, Index hi) {
    kb.forLoop(lo, hi, 1, [&](Index result) {
      Index number = result / rows, row = result % rows;
      auto at = [&](Index chunk) {
        return partAt(number * chunks + chunk, row);
      };
      auto maximum = [&](Index chunk) {
        return kb.loadVector(parts, at(chunk) + sumSize);
      };
      Values most =
          kb.forLoop(zero, chunks, 1, Values{minusInfinity()},
                     [&](Index chunk, ValueRange iter) {
                       return Values{larger(kb, maximum(chunk), iter[0])};
                     });
      Value reference = asReference(most[0]);
      // The maximum of a part gives way to its factor.
      Values total = kb.forLoop(
          zero, chunks, 1, Values{constants(0)},
          [&](Index chunk, ValueRange iter) {
            Value factor =
                emitExpNonPositive(kb, kb.fsub(maximum(chunk), reference));
            kb.storeVector(factor, parts, at(chunk) + sumSize);
            Value own = kb.loadVector(parts, at(chunk) + sumSize + lanes);
            return Values{kb.fma(own, factor, iter[0])};
          });
      Value inverse = reciprocal(total[0]);
      Index out = rowAt(args.out, getPair(number), row);
      kb.forLoop(zero, args.valueWidth, lanes, [&](Index column) {
        Values sum =
            kb.forLoop(zero, chunks, 1, Values{constants(0)},
                       [&](Index chunk, ValueRange iter) {
                         Value part = kb.loadVector(parts, at(chunk) + column);
                         return Values{kb.fma(part, maximum(chunk), iter[0])};
                       });
        storeNarrow(kb.fmul(sum[0], inverse), args.out.memory, out + column,
                    kb.maskBelow(args.valueWidth - column));
      });
    });
  });
}

void emitFewRowsAttention(KernelBuilder &kernel, const AttentionSpec &spec,
                          const AttentionArguments &arguments) {
  FewRowsEmitter(kernel, spec, arguments).emit();
}

} // namespace nibble::codegen
