//===- LinalgLoops.cpp - Vector loops for linalg --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/LinalgLoops.h"
#include "LinalgBody.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
/// Elements of a vectorized loop that a task takes if there is no other loop.
constexpr int64_t blockElements = 2048;

using Access = LinalgNest::Access;

class LoopEmitter {
public:
  LoopEmitter(KernelBuilder &kernel, const LinalgNest &nest)
      : kb(kernel), nest(nest), info(nest.op), op(nest.op), code(kernel, nest) {
  }

  void emit();

private:
  using Point = NestPoint;

  // Choice of loops.
  void choose();
  bool canVectorize(int64_t loop);
  int64_t score(int64_t loop);
  bool findCombiners();

  bool isVector() const { return code.isVector(); }

  // Loops.
  void emitUnits(Index lo, Index hi, Index rowBlocks);
  void emitRows(const Point &point);
  void emitColumns(const Point &point, int64_t rows, Index from, Index to);
  void emitTile(Point point, int64_t rows, int64_t vectors);
  Values reduceTile(const Point &point, int64_t rows, int64_t vectors);
  void emitReducedRow(const Point &point);
  Values forReductions(size_t next, Point point, ValueRange init,
                       function_ref<Values(const Point &, ValueRange)> body);

  KernelBuilder &kb;
  const LinalgNest &nest;
  BodyInfo info;
  linalg::LinalgOp op;
  LinalgBody code;

  int64_t &vectorLoop = code.vectorLoop;
  bool &vectorReduction = code.vectorReduction;
  /// Parallel loop of which some steps are computed together, -1 if none.
  int64_t rowLoop = -1;
  int64_t tileRows = 1, tileVectors = 1;
  SmallVector<int64_t> outerLoops, reductionLoops;
  /// For a vectorized reduction: the operation that combines, one per output.
  SmallVector<Operation *> combiners;
};

//===----------------------------------------------------------------------===//
// Choice of loops
//===----------------------------------------------------------------------===//

static bool isUnit(Index size) {
  return getConstantIntValue(OpFoldResult(Value(size))) == 1;
}

/// Each output is one known combination of itself and a value that does not
/// depend on it.
bool LoopEmitter::findCombiners() {
  combiners.clear();
  auto outputs = op.getRegionOutputArgs();
  for (auto [i, output] : llvm::enumerate(outputs)) {
    SmallVector<Operation *> operations;
    if (!matchReduction(outputs, i, operations) || operations.size() != 1 ||
        !linalg::getCombinerOpKind(operations.front()) ||
        !arith::getNeutralElement(operations.front()) || !output.hasOneUse())
      return false;
    combiners.push_back(operations.front());
  }
  return true;
}

bool LoopEmitter::canVectorize(int64_t loop) {
  if (isUnit(nest.sizes[loop]))
    return false;
  if (nest.isParallel(loop))
    return llvm::all_of(nest.outputs(), [&](const Access &access) {
      return access.isContiguous(loop);
    });
  // A reduction keeps its place as the innermost loop.
  return loop == reductionLoops.back() &&
         llvm::all_of(nest.outputs(), [&](const Access &access) {
           return access.isInvariant(loop);
         });
}

/// How well a loop suits vectors: inputs that must be gathered cost most, and
/// a few steps of a reduction cost more to combine than they save.
int64_t LoopEmitter::score(int64_t loop) {
  int64_t result = nest.isParallel(loop) ? 1 : 0, step;
  for (const Access &access : nest.accesses) {
    if (access.isContiguous(loop))
      result += 4;
    else if (!access.isInvariant(loop))
      result -= isShuffleStride(access.strides[loop], step) ? 2 : 8;
  }
  result += code.scoreLoads(loop);
  std::optional<int64_t> size =
      getConstantIntValue(OpFoldResult(Value(nest.sizes[loop])));
  if (size && *size < lanes / 2)
    result -= nest.isParallel(loop) ? 6 : 12;
  return result;
}

void LoopEmitter::choose() {
  for (int64_t loop = 0; loop < nest.numLoops(); ++loop)
    if (!nest.isParallel(loop))
      reductionLoops.push_back(loop);

  if (info.elementwise) {
    int64_t best = std::numeric_limits<int64_t>::min();
    for (int64_t loop = 0; loop < nest.numLoops(); ++loop) {
      if (!canVectorize(loop) || score(loop) < best)
        continue;
      if (!nest.isParallel(loop) && !findCombiners())
        continue;
      best = score(loop);
      vectorLoop = loop;
    }
    vectorReduction = isVector() && !nest.isParallel(vectorLoop);
  }

  if (isVector() && !vectorReduction && nest.hasReductions()) {
    tileVectors = kb.target.tileVectors() * 2;
    // Rows are worth it if an operand is the same for all of them.
    for (int64_t loop = 0; loop < nest.numLoops(); ++loop) {
      if (loop == vectorLoop || !nest.isParallel(loop) ||
          isUnit(nest.sizes[loop]))
        continue;
      bool shared = false;
      for (const Access &access :
           ArrayRef<Access>(nest.accesses).take_front(nest.numInputs))
        shared |= access.isInvariant(loop) && !access.isInvariant(vectorLoop);
      if (shared)
        rowLoop = loop;
    }
    if (rowLoop >= 0)
      tileRows = 4;
  }
  for (int64_t loop = 0; loop < nest.numLoops(); ++loop)
    if (nest.isParallel(loop) && loop != vectorLoop && loop != rowLoop)
      outerLoops.push_back(loop);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

Values LoopEmitter::forReductions(
    size_t next, Point point, ValueRange init,
    function_ref<Values(const Point &, ValueRange)> body) {
  if (next == reductionLoops.size())
    return body(point, init);
  int64_t loop = reductionLoops[next];
  if (isUnit(nest.sizes[loop]) || loop == vectorLoop)
    return forReductions(next + 1, point, init, body);
  return kb.forLoop(kb.index(0), nest.sizes[loop], 1, init,
                    [&](Index i, ValueRange iter) {
                      point.indices[loop] = i;
                      return forReductions(next + 1, point, iter, body);
                    });
}

/// Sums of a tile in registers. What does not depend on the row or on the
/// vector is loaded once.
Values LoopEmitter::reduceTile(const Point &start, int64_t rows,
                               int64_t vectors) {
  int64_t numOutputs = nest.outputs().size();
  auto shifted = [&](const Point &point, int64_t row, int64_t vector) {
    Point result = point;
    if (row)
      result.indices[rowLoop] = point.indices[rowLoop] + row;
    if (vector)
      result.indices[vectorLoop] = point.indices[vectorLoop] + vector * lanes;
    return result;
  };
  Values init;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t vector = 0; vector < vectors; ++vector)
      for (int64_t i = 0; i < numOutputs; ++i)
        init.push_back(
            code.loadOperand(nest.numInputs + i, shifted(start, row, vector)));
  return forReductions(
      0, start, init, [&](const Point &point, ValueRange iter) {
        llvm::DenseMap<std::tuple<int64_t, int64_t, int64_t>, Value> loaded;
        Values next;
        for (int64_t row = 0; row < rows; ++row)
          for (int64_t vector = 0; vector < vectors; ++vector) {
            Point here = shifted(point, row, vector);
            Values arguments;
            for (int64_t i = 0; i < nest.numInputs; ++i) {
              const Access &access = nest.accesses[i];
              bool perRow = rowLoop >= 0 && !access.isInvariant(rowLoop);
              bool perVector = isVector() && !access.isInvariant(vectorLoop);
              Value &value =
                  loaded[{i, perRow ? row : 0, perVector ? vector : 0}];
              if (!value)
                value = code.loadOperand(i, here);
              arguments.push_back(value);
            }
            for (int64_t i = 0; i < numOutputs; ++i)
              arguments.push_back(
                  iter[(row * vectors + vector) * numOutputs + i]);
            llvm::append_range(next, code.compute(here, arguments));
          }
        return next;
      });
}

void LoopEmitter::emitTile(Point point, int64_t rows, int64_t vectors) {
  Values results = reduceTile(point, rows, vectors);
  size_t at = 0;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t vector = 0; vector < vectors; ++vector) {
      Point here = point;
      if (row)
        here.indices[rowLoop] = point.indices[rowLoop] + row;
      if (vector)
        here.indices[vectorLoop] = point.indices[vectorLoop] + vector * lanes;
      for (size_t i = 0; i < nest.outputs().size(); ++i)
        code.storeResult(i, results[at++], here);
    }
}

/// A reduction in vectors, whose lanes are combined at the end.
void LoopEmitter::emitReducedRow(const Point &start) {
  OpBuilder &b = kb.b;
  Values init;
  for (Operation *combiner : combiners) {
    TypedAttr neutral = *arith::getNeutralElement(combiner);
    init.push_back(kb.splat(arith::ConstantOp::create(b, kb.loc, neutral)));
  }
  auto step = [&](const Point &point, ValueRange iter) {
    Values arguments;
    for (int64_t i = 0; i < nest.numInputs; ++i)
      arguments.push_back(code.loadOperand(i, point));
    llvm::append_range(arguments, iter);
    Values next = code.compute(point, arguments);
    if (point.mask)
      for (auto [value, old] : llvm::zip_equal(next, iter))
        value = arith::SelectOp::create(b, kb.loc, point.mask, value, old);
    return next;
  };
  Index size = nest.sizes[vectorLoop];
  Index middle = size / lanes * lanes;
  Values sums =
      forReductions(0, start, init, [&](const Point &outer, ValueRange iter) {
        Point point = outer;
        Values partial = kb.forLoop(kb.index(0), middle, lanes, iter,
                                    [&](Index i, ValueRange inner) {
                                      point.indices[vectorLoop] = i;
                                      return step(point, inner);
                                    });
        return kb.ifYield(
            kb.lt(middle, size),
            [&] {
              point.indices[vectorLoop] = middle;
              point.count = size - middle;
              point.mask = kb.maskBelow(size - middle);
              return step(point, partial);
            },
            [&] { return partial; });
      });
  for (auto [i, sum] : llvm::enumerate(sums)) {
    Operation *combiner = combiners[i];
    const Access &access = nest.outputs()[i];
    Index at = code.address(access, start);
    Value old = code.loadScalar(access, at);
    // Lanes are added in a tree: as exact as the order of the model.
    auto reduced = vector::ReductionOp::create(
        b, kb.loc, *linalg::getCombinerOpKind(combiner), sum, old,
        arith::FastMathFlags::reassoc);
    code.storeScalar(reduced, access, at);
  }
}

/// Vectors of rows `point.indices[rowLoop]` and the next, from..to.
void LoopEmitter::emitColumns(const Point &start, int64_t rows, Index from,
                              Index to) {
  Point point = start;
  Index middle = from;
  if (tileVectors > 1) {
    middle = from + (to - from) / (lanes * tileVectors) * (lanes * tileVectors);
    kb.forLoop(from, middle, lanes * tileVectors, [&](Index x) {
      point.indices[vectorLoop] = x;
      emitTile(point, rows, tileVectors);
    });
  }
  Index last = middle + (to - middle) / lanes * lanes;
  kb.forLoop(middle, last, lanes, [&](Index x) {
    point.indices[vectorLoop] = x;
    emitTile(point, rows, 1);
  });
  kb.ifThen(kb.lt(last, to), [&] {
    point.indices[vectorLoop] = last;
    point.count = to - last;
    point.mask = kb.maskBelow(to - last);
    emitTile(point, rows, 1);
  });
}

/// All that belongs to one step of the outer loops, or to one block of rows.
void LoopEmitter::emitRows(const Point &start) {
  if (!isVector())
    return emitTile(start, 1, 1);
  if (vectorReduction)
    return emitReducedRow(start);
  Index zero = kb.index(0);
  Index width = nest.sizes[vectorLoop];
  if (rowLoop < 0)
    return emitColumns(start, 1, zero, width);
  Index first = start.indices[rowLoop];
  Index end = min(first + tileRows, nest.sizes[rowLoop]);
  kb.ifThenElse(
      kb.eq(end - first, tileRows),
      [&] { emitColumns(start, tileRows, zero, width); },
      [&] {
        kb.forLoop(first, end, 1, [&](Index row) {
          Point point = start;
          point.indices[rowLoop] = row;
          emitColumns(point, 1, zero, width);
        });
      });
}

void LoopEmitter::emitUnits(Index lo, Index hi, Index rowBlocks) {
  Point point;
  point.indices.assign(nest.numLoops(), kb.index(0));
  kb.forLoop(lo, hi, 1, [&](Index unit) {
    Index rest = unit;
    if (rowLoop >= 0) {
      point.indices[rowLoop] = rest % rowBlocks * kb.index(tileRows);
      rest = rest / rowBlocks;
    }
    for (int64_t loop : llvm::reverse(outerLoops)) {
      if (isUnit(nest.sizes[loop]))
        continue;
      if (loop == outerLoops.front()) {
        point.indices[loop] = rest;
      } else {
        point.indices[loop] = rest % nest.sizes[loop];
        rest = rest / nest.sizes[loop];
      }
    }
    emitRows(point);
  });
}

void LoopEmitter::emit() {
  choose();
  Index work = kb.index(info.cost);
  for (Index size : nest.sizes)
    work = work * size;
  Index rowBlocks =
      rowLoop >= 0 ? ceilDiv(nest.sizes[rowLoop], tileRows) : kb.index(1);
  Index units = rowBlocks;
  for (int64_t loop : outerLoops)
    units = units * nest.sizes[loop];
  bool single =
      llvm::all_of(outerLoops,
                   [&](int64_t loop) { return isUnit(nest.sizes[loop]); }) &&
      rowLoop < 0;

  auto run = [&](Index count, function_ref<void(Index, Index)> body) {
    if (info.serial)
      body(kb.index(0), count);
    else
      kb.parallelRanges(count, kb.tasksFor(work, count), body);
  };
  if (single && isVector() && !vectorReduction) {
    Index size = nest.sizes[vectorLoop];
    run(ceilDiv(size, blockElements), [&](Index lo, Index hi) {
      Point point;
      point.indices.assign(nest.numLoops(), kb.index(0));
      emitColumns(point, 1, lo * blockElements, min(hi * blockElements, size));
    });
    return;
  }
  run(units, [&](Index lo, Index hi) { emitUnits(lo, hi, rowBlocks); });
}

} // namespace

void emitLinalgLoops(KernelBuilder &kernel, const LinalgNest &nest) {
  LoopEmitter(kernel, nest).emit();
}

} // namespace nibble::codegen
