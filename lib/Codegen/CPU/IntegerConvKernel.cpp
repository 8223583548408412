//===- IntegerConvKernel.cpp - Convolution of bytes -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input has four channels side by side for each position, and its padding:
// what a tap of the filter reads for 16 neighbouring outputs is then one vector
// of quads, at an address that is linear in everything. No columns are
// gathered.
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/IntegerKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
constexpr int64_t panelWidth = KernelBuilder::panelWidth;
constexpr int64_t quadBytes = 4 * panelWidth;
/// Vectors of outputs that a task computes for a panel.
constexpr int64_t blockVectors = 16;
/// Filters up to this width are unrolled along it.
constexpr int64_t unrolledWidth = 7;

class IntegerConvEmitter {
public:
  IntegerConvEmitter(KernelBuilder &kernel, const IntegerConvSpec &spec,
                     const IntegerConvArguments &arguments)
      : kb(kernel), spec(spec), args(arguments), dot(kernel),
        stage(kernel, spec.stage, args.operands),
        taps(spec.kernel[0] * spec.kernel[1] * spec.kernel[2]) {
    vectors = kb.target.avx512 ? 2 : 1;
    rows = std::max<int64_t>(1, (kb.target.avx512 ? 16 : 8) /
                                    (vectors * dot.numParts()));
  }

  void emit();

private:
  /// 16 outputs of a row from `x` on, or up to 8 of `row` and of the next one.
  struct Position {
    Index row, x, from, secondFrom;
  };
  Position locate(Index vector, Index planes);
  /// Where the input of an output row begins.
  Index lineAt(Index row, Index planes);
  void emitTile(Index image, Index group, Index panel, Index vector,
                Index channel);
  Values accumulate(ArrayRef<Position> positions, Index weightsAt);
  Value loadQuads(const Position &position, Index offset);
  void store(Index image, Index group, Index channel,
             ArrayRef<Position> positions, Values totals, Values inputSums);

  KernelBuilder &kb;
  const IntegerConvSpec &spec;
  const IntegerConvArguments &args;
  QuadDot dot;
  IntegerStage stage;
  int64_t taps, rows, vectors;
  Index rowVectors, numVectors, planeSize;
  Value spill;
};

void IntegerConvEmitter::emit() {
  Index outRows = args.outSize[0] * args.outSize[1];
  rowVectors = ceilDiv(args.outSize[2], lanes);
  numVectors = spec.narrow ? ceilDiv(outRows, 2) : outRows * rowVectors;
  planeSize = args.paddedSize[0] * args.paddedSize[1] * args.paddedSize[2];
  Index panels = ceilDiv(args.groupOut, panelWidth);
  Index blocks = ceilDiv(numVectors, blockVectors);
  Index units = args.batch * args.groups * panels * blocks;
  Index work = args.batch * args.groups * numVectors * panels *
               args.groupQuads * (taps * lanes * panelWidth);
  kb.parallelRanges(units, kb.tasksFor(work, units), [&](Index lo, Index hi) {
    if (KernelBuilder::isExpensive(spec.stage.activation))
      spill = kb.scratch(rows * vectors * lanes, kb.b.getI32Type());
    kb.forLoop(lo, hi, 1, [&](Index unit) {
      Index first = unit % blocks * kb.index(blockVectors);
      Index last = min(first + blockVectors, numVectors);
      Index panel = unit / blocks % panels;
      Index group = unit / (blocks * panels) % args.groups;
      Index image = unit / (blocks * panels * args.groups);
      Index firstChannel = panel * panelWidth;
      kb.forLoop(first, last, vectors, [&](Index vector) {
        kb.forLoop(firstChannel, min(firstChannel + panelWidth, args.groupOut),
                   rows, [&](Index channel) {
                     emitTile(image, group, group * panels + panel, vector,
                              channel);
                   });
      });
    });
  });
}

Index IntegerConvEmitter::lineAt(Index row, Index planes) {
  Index z = row / args.outSize[1], y = row % args.outSize[1];
  Index line = z * spec.strides[0] * args.paddedSize[1] + y * spec.strides[1];
  return planes * planeSize + line * args.paddedSize[2];
}

IntegerConvEmitter::Position IntegerConvEmitter::locate(Index vector,
                                                        Index planes) {
  Position p;
  if (spec.narrow) {
    p.row = vector * 2;
    p.x = kb.index(0);
    p.from = lineAt(p.row, planes);
    Index last = args.outSize[0] * args.outSize[1] - 1;
    p.secondFrom = lineAt(min(p.row + 1, last), planes);
    return p;
  }
  p.row = vector / rowVectors;
  p.x = vector % rowVectors * kb.index(lanes);
  p.from = lineAt(p.row, planes) + p.x * spec.strides[2];
  return p;
}

/// Quads of 16 outputs, `strides[2]` apart.
Value IntegerConvEmitter::loadQuads(const Position &p, Index offset) {
  int64_t stride = spec.strides[2], half = lanes / 2;
  Index at = p.from + offset;
  if (stride == 1 && !spec.narrow)
    return kb.loadVector(args.input, at);
  Index second = spec.narrow ? p.secondFrom + offset : at + lanes;
  if (stride <= 2) {
    int64_t size = spec.narrow ? half * stride : lanes;
    SmallVector<int64_t> order;
    for (int64_t i = 0; i < lanes; ++i)
      order.push_back(spec.narrow && i >= half ? size + (i - half) * stride
                                               : i * stride);
    return vector::ShuffleOp::create(
        kb.b, kb.loc, kb.loadVector(args.input, at, size),
        kb.loadVector(args.input, second, size), order);
  }
  auto type = kb.i32Vector();
  Value quads = arith::ConstantOp::create(kb.b, kb.loc, kb.b.getZeroAttr(type));
  for (int64_t i = 0; i < lanes; ++i) {
    Index from = spec.narrow && i >= half ? second + (i - half) * stride
                                          : at + i * stride;
    quads = vector::InsertOp::create(kb.b, kb.loc, kb.load(args.input, from),
                                     quads, i);
  }
  return quads;
}

/// Sums of `rows` channels by the positions, then, if they are needed, those
/// of the input.
Values IntegerConvEmitter::accumulate(ArrayRef<Position> positions,
                                      Index weightsAt) {
  bool inputSums = spec.stage.needsInputSums();
  int64_t parts = dot.numParts();
  Values init;
  for (int64_t i = 0; i < (rows + inputSums) * vectors; ++i)
    llvm::append_range(init, dot.zeros());
  auto bytes = kb.vectorType(kb.b.getI8Type(), 4 * lanes);

  auto multiply = [&](Index offset, Index weight, ValueRange iter) {
    Values next(iter);
    auto add = [&](int64_t at, const QuadDot::Side &x, const QuadDot::Side &w) {
      Values sum = dot.add(ValueRange(next).slice(at * parts, parts), x, w);
      llvm::copy(sum, next.begin() + at * parts);
    };
    SmallVector<QuadDot::Side> quads;
    for (const Position &p : positions) {
      Value loaded = loadQuads(p, offset);
      loaded = vector::BitCastOp::create(kb.b, kb.loc, bytes, loaded);
      quads.push_back(dot.fromBytes(loaded, /*isUnsigned=*/true));
    }
    for (int64_t r = 0; r < rows; ++r) {
      QuadDot::Side w =
          dot.broadcast(args.weight, weight + r * 4, /*isUnsigned=*/false);
      for (int64_t v = 0; v < vectors; ++v)
        add(r * vectors + v, quads[v], w);
    }
    if (inputSums)
      for (int64_t v = 0; v < vectors; ++v)
        add(rows * vectors + v, quads[v], dot.ones(/*isUnsigned=*/false));
    return next;
  };

  Index zero = kb.index(0);
  Index width = args.paddedSize[2];
  return kb.forLoop(zero, args.groupQuads, 1, init, [&](Index c, ValueRange a) {
    Index plane = c * planeSize;
    Index weight = weightsAt + c * (taps * quadBytes);
    int64_t lines = spec.kernel[0] * spec.kernel[1];
    return kb.forLoop(zero, kb.index(lines), 1, a, [&](Index t, ValueRange b) {
      Index kd = t / spec.kernel[1], kh = t % kb.index(spec.kernel[1]);
      Index line =
          kd * spec.dilations[0] * args.paddedSize[1] + kh * spec.dilations[1];
      Index from = plane + line * width;
      Index at = weight + t * (spec.kernel[2] * quadBytes);
      if (spec.kernel[2] > unrolledWidth)
        return kb.forLoop(zero, kb.index(spec.kernel[2]), 1, b,
                          [&](Index kw, ValueRange d) {
                            return multiply(from + kw * spec.dilations[2],
                                            at + kw * quadBytes, d);
                          });
      Values next(b);
      for (int64_t kw = 0; kw < spec.kernel[2]; ++kw)
        next =
            multiply(from + kw * spec.dilations[2], at + kw * quadBytes, next);
      return next;
    });
  });
}

void IntegerConvEmitter::emitTile(Index image, Index group, Index panel,
                                  Index vector, Index channel) {
  SmallVector<Position> positions;
  Index planes = (image * args.groups + group) * args.groupQuads;
  // A vector too many is the last one again.
  for (int64_t v = 0; v < vectors; ++v)
    positions.push_back(
        locate(v == 0 ? vector : min(vector + v, numVectors - 1), planes));
  Index weightsAt = panel * args.weightQuads * quadBytes +
                    channel % kb.index(panelWidth) * kb.index(4);
  Values sums = accumulate(positions, weightsAt);
  int64_t parts = dot.numParts();
  auto total = [&](int64_t i) {
    return dot.finish(ValueRange(sums).slice(i * parts, parts));
  };
  Values totals, inputSums(vectors);
  for (int64_t i = 0; i < rows * vectors; ++i)
    totals.push_back(total(i));
  if (spec.stage.needsInputSums())
    for (int64_t v = 0; v < vectors; ++v)
      inputSums[v] = total(rows * vectors + v);
  store(image, group, channel, positions, totals, inputSums);
}

void IntegerConvEmitter::store(Index image, Index group, Index channel,
                               ArrayRef<Position> positions, Values totals,
                               Values inputSums) {
  Index end = min(channel + rows, args.groupOut);
  Values masks;
  for (const Position &p : positions)
    masks.push_back(kb.maskBelow(args.outSize[2] - p.x));
  Index outRows = args.outSize[0] * args.outSize[1];
  Values secondMasks;
  if (spec.narrow)
    for (const Position &p : positions)
      secondMasks.push_back(
          kb.maskBelow(min(outRows - 1 - p.row, 1) * args.outSize[2]));
  auto upperHalf = [&](Value sums) -> Value {
    SmallVector<int64_t> order;
    for (int64_t i = 0; i < lanes; ++i)
      order.push_back((i + lanes / 2) % lanes);
    return vector::ShuffleOp::create(kb.b, kb.loc, sums, sums, order);
  };
  auto storeRow = [&](Index c, ValueRange sums) {
    Index of = group * args.groupOut + c;
    IntegerStage::Channels terms = stage.loadChannel(of);
    IntegerStage::Row row = stage.loadRow(image);
    Index plane = (image * args.groups * args.groupOut + of) * outRows;
    for (int64_t v = 0; v < vectors; ++v) {
      row.inputSum = inputSums[v];
      Index at = (plane + positions[v].row) * args.outSize[2] + positions[v].x;
      stage.store(sums[v], terms, row, at, masks[v]);
      if (!spec.narrow)
        continue;
      if (row.inputSum)
        row.inputSum = upperHalf(row.inputSum);
      stage.store(upperHalf(sums[v]), terms, row, at + args.outSize[2],
                  secondMasks[v]);
    }
  };
  if (spill) {
    for (auto [i, sum] : llvm::enumerate(totals))
      kb.storeVector(sum, spill, kb.index(i * lanes));
    kb.forLoop(channel, end, 1, [&](Index c) {
      Values sums;
      for (int64_t v = 0; v < vectors; ++v)
        sums.push_back(
            kb.loadVector(spill, ((c - channel) * vectors + v) * lanes));
      storeRow(c, sums);
    });
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {
    auto sums = ValueRange(totals).slice(r * vectors, vectors);
    if (r == 0)
      storeRow(channel, sums);
    else
      kb.ifThen(kb.lt(channel + r, end), [&] { storeRow(channel + r, sums); });
  }
}

} // namespace

std::string IntegerConvSpec::getName() const {
  std::string name = "_k";
  llvm::raw_string_ostream os(name);
  auto list = [&](const char *letter, ArrayRef<int64_t> values) {
    os << letter;
    llvm::interleave(values, os, "x");
  };
  list("", kernel);
  list("_s", strides);
  list("_d", dilations);
  if (narrow)
    os << "_narrow";
  return name + stage.getName();
}

void emitIntegerConv(KernelBuilder &kernel, const IntegerConvSpec &spec,
                     const IntegerConvArguments &arguments) {
  IntegerConvEmitter(kernel, spec, arguments).emit();
}

} // namespace nibble::codegen
