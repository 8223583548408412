//===- ConvKernel.cpp - Convolution as an implicit matrix product ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/ConvWindow.h"
#include "nibble/Codegen/CPU/Kernels.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
constexpr int64_t panelWidth = KernelBuilder::panelWidth;
/// Steps of the contraction that are gathered and unpacked at a time.
constexpr int64_t wantedSteps = 128;
/// Steps that weights are asked for ahead of their use.
constexpr int64_t prefetchSteps = 24;
/// Gathered floats that a thread keeps: they stay in the second-level cache
/// while all output channels pass over them.
constexpr int64_t columnFloats = 1 << 15;
/// Units of work that a convolution should have, for threads to share.
constexpr int64_t wantedUnits = 8;

class ConvEmitter {
public:
  ConvEmitter(KernelBuilder &kernel, const ConvSpec &spec,
              const ConvArguments &arguments)
      : kb(kernel), spec(spec), args(arguments), volume(spec.kernelVolume()),
        blockChannels(std::max<int64_t>(1, wantedSteps / volume)),
        blockSteps(blockChannels * volume), rows(kernel.target.tileRows()),
        vectors(kernel.target.avx512 ? 3 : 1), blockPixels(vectors * lanes) {}

  void emit();

private:
  /// A range of blocks of one image and a part of the contraction.
  struct Unit {
    Index image, firstBlock, lastBlock, firstStep, lastStep;
  };
  /// A register tile: `rows` output channels from `channel` on, of which
  /// some may not exist if it is not `full`, by `vectors` vectors of output
  /// positions.
  struct Tile {
    Index channel, pixel, weightsAt, columnsAt;
    int64_t vectors;
    bool full;
  };

  void gather(const Unit &unit, Index block);
  void multiply(const Unit &unit, Index panel);
  void emitTile(const Unit &unit, const Tile &tile);
  Values startSums(const Unit &unit, const Tile &tile, ValueRange masks);
  void storeSums(const Unit &unit, const Tile &tile, ValueRange masks,
                 ValueRange sums, bool last);
  void activateStored(const Unit &unit, const Tile &tile, ValueRange masks);
  Index outAt(Index image, Index channel, Index pixel) {
    return (image * args.outChannels + channel) * pixels + pixel;
  }
  Index columnsAt(const Unit &unit, Index block) {
    return (block - unit.firstBlock) * blockFloats;
  }

  KernelBuilder &kb;
  const ConvSpec &spec;
  const ConvArguments &args;
  int64_t volume, blockChannels, blockSteps, rows, vectors;
  /// Output positions that are gathered side by side.
  int64_t blockPixels;
  Index pixels, steps, blockFloats;
  /// Gathered input, [block][step][blockPixels], and unpacked weights,
  /// [step][panelWidth].
  Value columns, weights;
};

void ConvEmitter::emit() {
  pixels = args.outSize[0] * args.outSize[1] * args.outSize[2];
  steps = args.inChannels * volume;
  blockFloats = min(steps, blockSteps) * blockPixels;
  Index zero = kb.index(0);
  Index blocks = ceilDiv(pixels, blockPixels);
  Index panels = ceilDiv(args.outChannels, panelWidth);
  // A quarter of the products: here they take less time than elsewhere, where
  // memory is waited for.
  Index work = args.batch * pixels * args.outChannels * steps / 4;
  // A unit is some blocks of one image by some panels: as large as possible,
  // since both are prepared once for a unit, while there are enough units.
  // With more weights than inputs units differ in panels alone: then each
  // weight is read once.
  Index many = kb.tasksFor(work, kb.index(wantedUnits));
  Index maxBlocks = min(max(kb.index(columnFloats) / blockFloats, 1), blocks);
  Values chosen = kb.ifYield(
      kb.lt(pixels, args.outChannels),
      [&] { return Values{min(many, wantedUnits / 2), maxBlocks}; },
      [&] {
        return Values{many, min(ceilDiv(args.batch * blocks, many), maxBlocks)};
      });
  Index wanted = kb.index(chosen[0]);
  Index unitBlocks = max(kb.index(chosen[1]), 1);
  Index blockChunks = ceilDiv(blocks, unitBlocks);
  Index rowsOfUnits = args.batch * blockChunks;
  Index unitPanels = max(min(ceilDiv(panels * rowsOfUnits, wanted), panels), 1);
  Index panelChunks = ceilDiv(panels, unitPanels);
  Index units = rowsOfUnits * panelChunks;
  Index tasks = kb.tasksFor(work, units);

  kb.parallelRanges(units, tasks, [&](Index lo, Index hi) {
    columns = kb.scratch(std::max(columnFloats, blockSteps * blockPixels));
    weights = spec.format.isFloat() ? args.weight.codes
                                    : kb.scratch(blockSteps * panelWidth);
    kb.forLoop(lo, hi, 1, [&](Index index) {
      Index firstPanel = index % panelChunks * unitPanels;
      Index lastPanel = min(firstPanel + unitPanels, panels);
      Index rest = index / panelChunks;
      Unit unit;
      unit.firstBlock = rest % blockChunks * unitBlocks;
      unit.lastBlock = min(unit.firstBlock + unitBlocks, blocks);
      unit.image = rest / blockChunks;
      kb.forLoop(zero, args.inChannels, blockChannels, [&](Index first) {
        Index last = min(first + blockChannels, args.inChannels);
        unit.firstStep = first * volume;
        unit.lastStep = last * volume;
        kb.forLoop(unit.firstBlock, unit.lastBlock, 1,
                   [&](Index block) { gather(unit, block); });
        kb.forLoop(firstPanel, lastPanel, 1, [&](Index panel) {
          if (!spec.format.isFloat())
            emitUnpackPanel(kb, spec.format, args.weight, panel, unit.firstStep,
                            unit.lastStep, steps, weights);
          multiply(unit, panel);
        });
      });
    });
  });
}

/// Columns of the implicit matrix: for each step (channel, position in the
/// filter) the inputs of the block's output positions, zero outside.
void ConvEmitter::gather(const Unit &unit, Index block) {
  Index begin = block * blockPixels;
  Index end = min(begin + blockPixels, pixels);
  Index width = args.outSize[2];
  Index firstChannel = unit.firstStep / volume;
  Index lastChannel = unit.lastStep / volume;
  // Lanes without an output position compute too: what lies on the stack may be
  // denormal numbers, which are slow.
  Index filled = (end - begin) / lanes * kb.index(lanes);
  kb.ifThen(kb.lt(filled, end - begin), [&] {
    kb.forLoop(kb.index(0), unit.lastStep - unit.firstStep, 1, [&](Index step) {
      kb.storeVector(kb.zeros(), columns,
                     columnsAt(unit, block) + step * blockPixels + filled);
    });
  });
  ConvWindow window(kb, spec, args);
  kb.forLoop(begin / width, ceilDiv(end, width), 1, [&](Index row) {
    Index rowBegin = row * width;
    Index from = max(begin, rowBegin) - rowBegin;
    Index to = min(end, rowBegin + width) - rowBegin;
    kb.forLoop(from, to, lanes, [&](Index x) {
      Index count = min(to - x, lanes);
      Value storeMask = kb.maskBelow(count);
      Index columnAt = columnsAt(unit, block) + (rowBegin + x - begin);
      // Addresses are carried: products of indices would take more time than
      // the copy.
      Index planeSize = window.planeSize();
      Index firstPlane =
          (unit.image * args.inChannels + firstChannel) * planeSize;
      auto copyPlanes = [&](ArrayRef<WindowRow> taps, Index columnAt) {
        kb.forUnrolled(firstChannel, lastChannel, taps.size() == 1 ? 4 : 1,
                       {firstPlane, columnAt},
                       [&](Index, int64_t count, ValueRange iter) {
                         Index from = kb.index(iter[0]), to = kb.index(iter[1]);
                         for (int64_t i = 0; i < count; ++i) {
                           for (auto [tap, source] : llvm::enumerate(taps))
                             kb.storeMasked(window.load(source, from), columns,
                                            to + tap * blockPixels, storeMask);
                           from = from + planeSize;
                           to = to + volume * blockPixels;
                         }
                         return Values{from, to};
                       });
      };
      if (volume <= ConvWindow::maxUnrolled)
        return copyPlanes(window.getTaps(row, x, count), columnAt);
      window.forTaps(row, x, count, [&](Index tap, const WindowRow &source) {
        copyPlanes(source, columnAt + tap * kb.index(blockPixels));
      });
    });
  });
}

/// One panel by all blocks. A part of a panel and the columns of a block are in
/// the first-level cache together.
void ConvEmitter::multiply(const Unit &unit, Index panel) {
  Index firstChannel = panel * panelWidth;
  Index weightsAt = spec.format.isFloat()
                        ? (panel * steps + unit.firstStep) * panelWidth
                        : kb.index(0);
  Index lastChannel = min(firstChannel + panelWidth, args.outChannels);
  Index fullEnd =
      firstChannel + (lastChannel - firstChannel) / rows * kb.index(rows);
  kb.forLoop(unit.firstBlock, unit.lastBlock, 1, [&](Index block) {
    Index begin = block * blockPixels;
    Index end = min(begin + blockPixels, pixels);
    auto emitRows = [&](Index x, int64_t width) {
      auto emit = [&](Index channel, bool full) {
        emitTile(unit, {channel, x, weightsAt + (channel - firstChannel),
                        columnsAt(unit, block) + (x - begin), width, full});
      };
      kb.forLoop(firstChannel, fullEnd, rows,
                 [&](Index channel) { emit(channel, true); });
      kb.ifThen(kb.lt(fullEnd, lastChannel), [&] { emit(fullEnd, false); });
    };
    // The last block has fewer vectors.
    for (int64_t width = 1; width <= vectors; ++width) {
      Value fits = kb.le(begin + (width - 1) * lanes + 1, end);
      if (width < vectors)
        fits = kb.both(fits, kb.le(end, begin + width * lanes));
      kb.ifThen(fits, [&] { emitRows(begin, width); });
    }
  });
}

/// The first part of the contraction starts from zero, later ones from what the
/// output holds.
Values ConvEmitter::startSums(const Unit &unit, const Tile &tile,
                              ValueRange masks) {
  return kb.ifYield(
      kb.eq(unit.firstStep, 0),
      [&] { return Values(rows * tile.vectors, kb.zeros()); },
      [&] {
        Values sums;
        for (int64_t r = 0; r < rows; ++r) {
          Index channel = tile.channel + r;
          if (!tile.full)
            channel = min(channel, args.outChannels - 1);
          Index at = outAt(unit.image, channel, tile.pixel);
          for (int64_t v = 0; v < tile.vectors; ++v)
            sums.push_back(kb.loadMasked(args.out, at + v * lanes, masks[v]));
        }
        return sums;
      });
}

void ConvEmitter::storeSums(const Unit &unit, const Tile &tile,
                            ValueRange masks, ValueRange sums, bool last) {
  auto storeRow = [&](int64_t r) {
    Index channel = tile.channel + r;
    Index at = outAt(unit.image, channel, tile.pixel);
    for (int64_t v = 0; v < tile.vectors; ++v) {
      Value x = sums[r * tile.vectors + v];
      if (last) {
        if (spec.epilogue.bias)
          x = kb.fadd(x, kb.loadSplat(args.bias, channel));
        if (spec.epilogue.residual)
          x = kb.fadd(x,
                      kb.loadMasked(args.residual, at + v * lanes, masks[v]));
        if (!KernelBuilder::isExpensive(spec.epilogue.activation))
          x = kb.emitActivation(spec.epilogue.activation, x);
      }
      kb.storeMasked(x, args.out, at + v * lanes, masks[v]);
    }
  };
  for (int64_t r = 0; r < rows; ++r) {
    if (r == 0 || tile.full)
      storeRow(r);
    else
      kb.ifThen(kb.lt(tile.channel + r, args.outChannels),
                [&] { storeRow(r); });
  }
}

/// Expensive activations are a loop: unrolled they would not fit into the
/// registers.
void ConvEmitter::activateStored(const Unit &unit, const Tile &tile,
                                 ValueRange masks) {
  kb.forLoop(tile.channel, min(tile.channel + rows, args.outChannels), 1,
             [&](Index channel) {
               Index at = outAt(unit.image, channel, tile.pixel);
               for (int64_t v = 0; v < tile.vectors; ++v) {
                 Value x = kb.loadMasked(args.out, at + v * lanes, masks[v]);
                 x = kb.emitActivation(spec.epilogue.activation, x);
                 kb.storeMasked(x, args.out, at + v * lanes, masks[v]);
               }
             });
}

void ConvEmitter::emitTile(const Unit &unit, const Tile &tile) {
  Values masks;
  for (int64_t v = 0; v < tile.vectors; ++v)
    masks.push_back(kb.maskBelow(pixels - (tile.pixel + v * lanes)));
  Values sums = kb.forLoop(
      kb.index(0), unit.lastStep - unit.firstStep, 1,
      startSums(unit, tile, masks), [&](Index step, ValueRange iter) {
        Values next(iter), inputs;
        // Weights that come from memory: the steps of a tile lie too far apart
        // for the hardware to foresee.
        if (spec.format.isFloat())
          for (int64_t line = 0; line < panelWidth; line += lanes)
            kb.prefetch(weights, tile.weightsAt +
                                     (step + prefetchSteps) * panelWidth +
                                     line);
        for (int64_t v = 0; v < tile.vectors; ++v)
          inputs.push_back(kb.loadVector(
              columns, tile.columnsAt + step * blockPixels + v * lanes));
        for (int64_t r = 0; r < rows; ++r) {
          Value w =
              kb.loadSplat(weights, tile.weightsAt + step * panelWidth + r);
          for (int64_t v = 0; v < tile.vectors; ++v) {
            Value &sum = next[r * tile.vectors + v];
            sum = kb.fma(w, inputs[v], sum);
          }
        }
        return next;
      });
  kb.ifThenElse(
      kb.lt(unit.lastStep, steps),
      [&] { storeSums(unit, tile, masks, sums, false); },
      [&] {
        storeSums(unit, tile, masks, sums, true);
        if (KernelBuilder::isExpensive(spec.epilogue.activation))
          activateStored(unit, tile, masks);
      });
}

} // namespace

std::string ConvSpec::getName() const {
  std::string name = "nibble_conv_" + format.getName();
  llvm::raw_string_ostream os(name);
  auto list = [&](char letter, ArrayRef<int64_t> values) {
    os << '_' << letter;
    llvm::interleave(values, os, "x");
  };
  list('k', kernel);
  list('s', strides);
  list('d', dilations);
  list('p', padBegin);
  if (groupChannels)
    os << "_c" << groupChannels;
  os << epilogue.getName();
  return name;
}

void emitConv(KernelBuilder &kernel, const ConvSpec &spec,
              const ConvArguments &arguments) {
  emitSmallConv(kernel, spec, arguments,
                [&] { ConvEmitter(kernel, spec, arguments).emit(); });
}

} // namespace nibble::codegen
