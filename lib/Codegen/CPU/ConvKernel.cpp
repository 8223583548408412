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
/// Output positions that are multiplied at a time.
constexpr int64_t blockPixels = 2 * lanes;
/// Steps of the contraction that are gathered and unpacked at a time.
constexpr int64_t wantedSteps = 256;
/// Units of work that a convolution should have, for threads to share.
constexpr int64_t wantedUnits = 8;

class ConvEmitter {
public:
  ConvEmitter(KernelBuilder &kernel, const ConvSpec &spec,
              const ConvArguments &arguments)
      : kb(kernel), spec(spec), args(arguments), volume(spec.kernelVolume()),
        blockChannels(std::max<int64_t>(1, wantedSteps / volume)),
        blockSteps(blockChannels * volume),
        maxBlocks(blockSteps <= 2 * wantedSteps ? 4 : 1),
        rows(kernel.target.tileRows()), vectors(kernel.target.tileVectors()) {}

  void emit();

private:
  void gather(Index image, Index block, Index firstChannel, Index lastChannel,
              Index columnsAt);
  void multiply(Index image, Index block, Index panel, Index firstStep,
                Index lastStep, Index columnsAt);
  void emitTile(Index image, Index pixel, Index channel, Index firstStep,
                Index lastStep, Index weightsAt, Index columnsAt);
  Index outAt(Index image, Index channel, Index pixel) {
    return (image * args.outChannels + channel) * pixels + pixel;
  }

  KernelBuilder &kb;
  const ConvSpec &spec;
  const ConvArguments &args;
  int64_t volume, blockChannels, blockSteps, maxBlocks, rows, vectors;
  Index pixels, steps;
  /// Gathered input, [block][step][blockPixels], and unpacked weights,
  /// [step][panelWidth].
  Value columns, weights;
};

void ConvEmitter::emit() {
  pixels = args.outSize[0] * args.outSize[1] * args.outSize[2];
  steps = args.inChannels * volume;
  Index zero = kb.index(0);
  Index blocks = ceilDiv(pixels, blockPixels);
  Index panels = ceilDiv(args.outChannels, panelWidth);
  // A unit is some blocks of one image by some panels: as large as possible,
  // since both are prepared once for a unit, while there are enough units.
  Index unitBlocks = max(min(args.batch * blocks / wantedUnits, maxBlocks), 1);
  Index rowsOfUnits = args.batch * ceilDiv(blocks, unitBlocks);
  Index unitPanels = max(min(panels * rowsOfUnits / wantedUnits, panels), 1);
  Index panelChunks = ceilDiv(panels, unitPanels);
  Index blockChunks = ceilDiv(blocks, unitBlocks);
  Index units = rowsOfUnits * panelChunks;
  Index tasks =
      kb.tasksFor(args.batch * pixels * args.outChannels * steps, units);

  kb.parallelRanges(units, tasks, [&](Index lo, Index hi) {
    columns = kb.scratch(maxBlocks * blockSteps * blockPixels);
    weights = spec.format.isFloat() ? args.weight.codes
                                    : kb.scratch(blockSteps * panelWidth);
    kb.forLoop(lo, hi, 1, [&](Index unit) {
      Index firstPanel = unit % panelChunks * unitPanels;
      Index lastPanel = min(firstPanel + unitPanels, panels);
      Index rest = unit / panelChunks;
      Index firstBlock = rest % blockChunks * unitBlocks;
      Index lastBlock = min(firstBlock + unitBlocks, blocks);
      Index image = rest / blockChunks;
      kb.forLoop(zero, args.inChannels, blockChannels, [&](Index first) {
        Index last = min(first + blockChannels, args.inChannels);
        auto columnsAt = [&](Index block) {
          return (block - firstBlock) * (blockSteps * blockPixels);
        };
        kb.forLoop(firstBlock, lastBlock, 1, [&](Index block) {
          gather(image, block, first, last, columnsAt(block));
        });
        Index firstStep = first * volume, lastStep = last * volume;
        kb.forLoop(firstPanel, lastPanel, 1, [&](Index panel) {
          if (!spec.format.isFloat())
            emitUnpackPanel(kb, spec.format, args.weight, panel, firstStep,
                            lastStep, steps, weights);
          kb.forLoop(firstBlock, lastBlock, 1, [&](Index block) {
            multiply(image, block, panel, firstStep, lastStep,
                     columnsAt(block));
          });
        });
      });
    });
  });
}

/// Columns of the implicit matrix: for each step (channel, position in the
/// filter) the inputs of the block's output positions, zero outside.
void ConvEmitter::gather(Index image, Index block, Index firstChannel,
                         Index lastChannel, Index columnsAt) {
  Index begin = block * blockPixels;
  Index end = min(begin + blockPixels, pixels);
  Index width = args.outSize[2];
  ConvWindow window(kb, spec, args);
  kb.forLoop(begin / width, ceilDiv(end, width), 1, [&](Index row) {
    Index rowBegin = row * width;
    Index from = max(begin, rowBegin) - rowBegin;
    Index to = min(end, rowBegin + width) - rowBegin;
    kb.forLoop(from, to, lanes, [&](Index x) {
      Index count = min(to - x, lanes);
      Value storeMask = kb.maskBelow(count);
      Index columnAt = columnsAt + (rowBegin + x - begin);
      window.forTaps(row, x, count, [&](Index tap, const WindowRow &source) {
        // Addresses are carried: products of indices would take more time
        // than the copy.
        Index planeSize = window.planeSize();
        int64_t columnStep = volume * blockPixels;
        Values start = {(image * args.inChannels + firstChannel) * planeSize,
                        columnAt + tap * blockPixels};
        kb.forUnrolled(firstChannel, lastChannel, 4, start,
                       [&](Index, int64_t count, ValueRange iter) {
                         Index from = kb.index(iter[0]), to = kb.index(iter[1]);
                         for (int64_t i = 0; i < count; ++i) {
                           kb.storeMasked(window.load(source, from), columns,
                                          to, storeMask);
                           from = from + planeSize;
                           to = to + columnStep;
                         }
                         return Values{from, to};
                       });
      });
    });
  });
}

void ConvEmitter::multiply(Index image, Index block, Index panel,
                           Index firstStep, Index lastStep, Index columnsAt) {
  Index firstChannel = panel * panelWidth;
  Index weightsAt = spec.format.isFloat()
                        ? (panel * steps + firstStep) * panelWidth
                        : kb.index(0);
  Index lastChannel = min(firstChannel + panelWidth, args.outChannels);
  kb.forLoop(firstChannel, lastChannel, rows, [&](Index channel) {
    kb.forLoop(
        kb.index(0), kb.index(blockPixels), lanes * vectors, [&](Index x) {
          emitTile(image, block * blockPixels + x, channel, firstStep, lastStep,
                   weightsAt + (channel - firstChannel), columnsAt + x);
        });
  });
}

/// `rows` output channels by `vectors` vectors of output positions. The first
/// part of the contraction starts from zero, later ones from the output.
void ConvEmitter::emitTile(Index image, Index pixel, Index channel,
                           Index firstStep, Index lastStep, Index weightsAt,
                           Index columnsAt) {
  SmallVector<Index> channels;
  for (int64_t r = 0; r < rows; ++r)
    channels.push_back(r == 0 ? channel
                              : min(channel + r, args.outChannels - 1));
  Values masks;
  for (int64_t v = 0; v < vectors; ++v)
    masks.push_back(kb.maskBelow(pixels - (pixel + v * lanes)));

  Values init = kb.ifYield(
      kb.eq(firstStep, 0), [&] { return Values(rows * vectors, kb.zeros()); },
      [&] {
        Values sums;
        for (Index c : channels)
          for (int64_t v = 0; v < vectors; ++v)
            sums.push_back(kb.loadMasked(
                args.out, outAt(image, c, pixel + v * lanes), masks[v]));
        return sums;
      });
  Values sums = kb.forLoop(
      kb.index(0), lastStep - firstStep, 1, init,
      [&](Index step, ValueRange iter) {
        Values next(iter), inputs;
        for (int64_t v = 0; v < vectors; ++v)
          inputs.push_back(kb.loadVector(
              columns, columnsAt + step * blockPixels + v * lanes));
        for (int64_t r = 0; r < rows; ++r) {
          Value w = kb.loadSplat(weights, weightsAt + step * panelWidth + r);
          for (int64_t v = 0; v < vectors; ++v)
            next[r * vectors + v] = kb.fma(w, inputs[v], next[r * vectors + v]);
        }
        return next;
      });

  auto storeRow = [&](int64_t r, bool last) {
    for (int64_t v = 0; v < vectors; ++v) {
      Index at = outAt(image, channels[r], pixel + v * lanes);
      Value x = sums[r * vectors + v];
      if (last) {
        if (spec.epilogue.bias)
          x = kb.fadd(x, kb.loadSplat(args.bias, channels[r]));
        if (spec.epilogue.residual)
          x = kb.fadd(x, kb.loadMasked(args.residual, at, masks[v]));
        if (!KernelBuilder::isExpensive(spec.epilogue.activation))
          x = kb.emitActivation(spec.epilogue.activation, x);
      }
      kb.storeMasked(x, args.out, at, masks[v]);
    }
  };
  auto storeRows = [&](bool last) {
    for (int64_t r = 0; r < rows; ++r) {
      if (r == 0)
        storeRow(r, last);
      else
        kb.ifThen(kb.lt(channel + r, args.outChannels),
                  [&] { storeRow(r, last); });
    }
  };
  kb.ifThenElse(
      kb.lt(lastStep, steps), [&] { storeRows(false); },
      [&] {
        storeRows(true);
        Activation activation = spec.epilogue.activation;
        if (!KernelBuilder::isExpensive(activation))
          return;
        kb.forLoop(channel, min(channel + rows, args.outChannels), 1,
                   [&](Index c) {
                     for (int64_t v = 0; v < vectors; ++v) {
                       Index at = outAt(image, c, pixel + v * lanes);
                       Value x = kb.loadMasked(args.out, at, masks[v]);
                       kb.storeMasked(kb.emitActivation(activation, x),
                                      args.out, at, masks[v]);
                     }
                   });
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
  ConvEmitter(kernel, spec, arguments).emit();
}

} // namespace nibble::codegen
