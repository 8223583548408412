//===- PackOperand.cpp - Packing operands at run time ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Blocks of 16 lines by 16 cells of 32 bits, one float or two steps of bf16, go
// through registers: the source gives a vector for each line or for each cell,
// and the destination takes one or the other. Where they differ, the block is
// transposed in between.
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/PackOperand.h"

#include "Lanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

static constexpr int64_t lanes = KernelBuilder::lanes;
static constexpr int64_t panelWidth = KernelBuilder::panelWidth;

/// Steps of a cache line.
static int64_t lineSteps(bool bf16) { return bf16 ? 2 * lanes : lanes; }

PackedLayout::PackedLayout(KernelBuilder &kernel, bool bf16, Index steps)
    : kb(kernel),
      element(bf16 ? Type(kernel.b.getBF16Type()) : kernel.b.getF32Type()) {
  int64_t unit = lineSteps(bf16);
  Index count = ceilDiv(steps, unit);
  filledSteps = count * unit;
  row = (count + (count + 1) % kb.index(2)) * unit;
}

Index PackedLayout::rowsSize(Index lines) const {
  return ceilDiv(lines, panelWidth) * panelWidth * row;
}

Index PackedLayout::panelsSize(Index lines) const {
  return ceilDiv(lines, panelWidth) * panelSize();
}

Value PackedLayout::allocate(Index size) const {
  auto type = MemRefType::get({ShapedType::kDynamic}, element);
  return memref::AllocOp::create(kb.b, kb.loc, type, ValueRange{size},
                                 kb.b.getI64IntegerAttr(64));
}

namespace {

class PackEmitter {
public:
  PackEmitter(KernelBuilder &kernel, const PackSpec &spec,
              const PackArguments &arguments)
      : kb(kernel), spec(spec), args(arguments),
        layout(kernel, spec.bf16, arguments.steps) {}

  void emit();

private:
  void emitGroup(Index batch, Index group);
  void emitBlock(Index line, Index step, Index to, bool whole);
  Values loadLines(Index line, Index step, bool whole);
  Values loadCells(Index line, Index step, bool whole);
  Value load(Index at, Value mask) {
    return mask ? kb.loadMasked(args.source, at, mask)
                : kb.loadVector(args.source, at);
  }
  /// 16 cells of bf16 as if they were floats, and back.
  Value cast(Value x, Type element, int64_t size) {
    return vector::BitCastOp::create(kb.b, kb.loc, kb.vectorType(element, size),
                                     x);
  }

  KernelBuilder &kb;
  const PackSpec &spec;
  const PackArguments &args;
  PackedLayout layout;
  Index sourceAt;
};

} // namespace

void PackEmitter::emit() {
  Index groups = ceilDiv(args.lines, panelWidth);
  Index units = args.batches * groups;
  Index work = units * panelWidth * args.steps / 2;
  kb.parallelRanges(units, kb.tasksFor(work, units), [&](Index lo, Index hi) {
    kb.forLoop(lo, hi, 1,
               [&](Index unit) { emitGroup(unit / groups, unit % groups); });
  });
}

/// 32 lines: a panel.
void PackEmitter::emitGroup(Index batch, Index group) {
  sourceAt = batch / args.inner * args.outerBatch +
             batch % args.inner * args.innerBatch;
  Index destAt = spec.panels ? batch * layout.panelsSize(args.lines) +
                                   group * layout.panelSize()
                             : batch * layout.rowsSize(args.lines) +
                                   group * panelWidth * layout.rowSize();
  int64_t blockSteps = lineSteps(spec.bf16);
  kb.forLoop(kb.index(0), args.steps, blockSteps, [&](Index step) {
    kb.forLoop(kb.index(0), kb.index(panelWidth / lanes), 1, [&](Index half) {
      Index line = group * panelWidth + half * lanes;
      Index to = destAt;
      if (spec.panels)
        to = to + step * panelWidth +
             half * (spec.bf16 ? lanes * blockSteps : lanes);
      else
        to = to + half * lanes * layout.rowSize() + step;
      Value whole = kb.both(kb.le(line + lanes, args.lines),
                            kb.le(step + blockSteps, args.steps));
      kb.ifThenElse(
          whole, [&] { emitBlock(line, step, to, true); },
          [&] { emitBlock(line, step, to, false); });
    });
  });
}

void PackEmitter::emitBlock(Index line, Index step, Index to, bool whole) {
  Values block = spec.alongSteps ? loadLines(line, step, whole)
                                 : loadCells(line, step, whole);
  if (spec.alongSteps == spec.panels)
    block = transposeLanes(kb, block);
  for (auto [i, x] : llvm::enumerate(block)) {
    int64_t number = i;
    if (spec.bf16)
      x = cast(x, kb.b.getBF16Type(), 2 * lanes);
    Index apart = spec.panels ? kb.index(panelWidth) : layout.rowSize();
    kb.storeVector(x, args.dest, to + apart * number);
  }
}

/// A vector of cells for each line. Lines that do not exist are the last one.
Values PackEmitter::loadLines(Index line, Index step, bool whole) {
  auto bf16 = kb.vectorType(kb.b.getBF16Type());
  auto all = llvm::to_vector(llvm::seq<int64_t>(0, 2 * lanes));
  Values result;
  for (int64_t i = 0; i < lanes; ++i) {
    Index number = whole ? line + i : min(line + i, args.lines - 1);
    Index at = sourceAt + number * args.stride + step;
    auto loadAt = [&](int64_t from) {
      return load(at + from,
                  whole ? Value() : kb.maskBelow(args.steps - step - from));
    };
    Value x = loadAt(0);
    if (spec.bf16) {
      Value low = arith::TruncFOp::create(kb.b, kb.loc, bf16, x);
      Value high = arith::TruncFOp::create(kb.b, kb.loc, bf16, loadAt(lanes));
      x = cast(vector::ShuffleOp::create(kb.b, kb.loc, low, high, all),
               kb.b.getF32Type(), lanes);
    }
    result.push_back(x);
  }
  return result;
}

/// A vector of lines for each cell.
Values PackEmitter::loadCells(Index line, Index step, bool whole) {
  auto loadAt = [&](int64_t from) {
    // Steps that do not exist have no lines.
    Index lines = min(args.lines - line, (args.steps - step - from) * lanes);
    return load(sourceAt + (step + from) * args.stride + line,
                whole ? Value() : kb.maskBelow(lines));
  };
  Values result;
  for (int64_t i = 0; i < lanes; ++i)
    result.push_back(
        spec.bf16 ? cast(roundPairs(kb, loadAt(2 * i), loadAt(2 * i + 1)),
                         kb.b.getF32Type(), lanes)
                  : loadAt(i));
  return result;
}

std::string PackSpec::getName() const {
  return std::string("nibble_pack_") + (panels ? "panels" : "rows") +
         (alongSteps == panels ? "_t" : "") + (bf16 ? "_bf16" : "_f32");
}

void emitPack(KernelBuilder &kernel, const PackSpec &spec,
              const PackArguments &arguments) {
  PackEmitter(kernel, spec, arguments).emit();
}

} // namespace nibble::codegen
