//===- SmallConvKernel.cpp - Convolution to a few output positions --------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Kernels.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

namespace {

constexpr int64_t lanes = KernelBuilder::lanes;
constexpr int64_t panelWidth = KernelBuilder::panelWidth;
/// Steps of a panel that are unpacked at a time: 16 KiB of floats.
constexpr int64_t blockSteps = 128;
/// Gathered floats: they are on the stack of every thread.
constexpr int64_t maxFloats = 1 << 15;

class SmallConvEmitter {
public:
  SmallConvEmitter(KernelBuilder &kernel, const ConvSpec &spec,
                   const ConvArguments &arguments)
      : kb(kernel), spec(spec), args(arguments),
        rows(kernel.target.avx512 ? 4 : 2),
        vectors(kernel.target.tileVectors()) {
    positions = args.outSize[0] * args.outSize[1] * args.outSize[2];
    steps = args.inChannels * spec.kernelVolume();
  }

  Value isSmall();
  void emit();

private:
  void gather(Index image, Index position);
  void gatherRun(Index image, Index position, Index tap, Index at, Index count,
                 Index begin, Index end);
  void multiply(Index panel, Index firstPosition, int64_t half);
  void finish(Index image, Index panel, Index firstPosition);
  /// Element (row, channel) of the tile.
  Index tileAt(Index row, Index channel) { return row * panelWidth + channel; }

  KernelBuilder &kb;
  const ConvSpec &spec;
  const ConvArguments &args;
  int64_t rows, vectors;
  Index positions, steps;
  /// Gathered input [position][step], unpacked weights [step][panelWidth] and
  /// sums [row][panelWidth].
  Value columns, weights, tile;
};

Value SmallConvEmitter::isSmall() {
  return kb.both(kb.le(positions, kb.index(lanes)),
                 kb.le(positions * steps, kb.index(maxFloats)));
}

void SmallConvEmitter::emit() {
  Index zero = kb.index(0);
  Index panels = ceilDiv(args.outChannels, panelWidth);
  Index tasks =
      kb.tasksFor(args.batch * positions * args.outChannels * steps, panels);
  kb.parallelRanges(panels, tasks, [&](Index lo, Index hi) {
    columns = kb.scratch(maxFloats);
    tile = kb.scratch(rows * panelWidth);
    if (!spec.format.isFloat())
      weights = kb.scratch(blockSteps * panelWidth);
    kb.forLoop(zero, args.batch, 1, [&](Index image) {
      kb.forLoop(zero, positions, 1,
                 [&](Index position) { gather(image, position); });
      kb.forLoop(lo, hi, 1, [&](Index panel) {
        kb.forLoop(zero, positions, rows, [&](Index first) {
          for (int64_t half = 0; half < panelWidth / lanes; half += vectors)
            multiply(panel, first, half);
          finish(image, panel, first);
        });
      });
    });
  });
}

/// The neighbourhood of one output position as a row of the implicit matrix,
/// zero outside of the input.
void SmallConvEmitter::gather(Index image, Index position) {
  Index zero = kb.index(0);
  Index plane = args.outSize[1] * args.outSize[2];
  Index out[3] = {position / plane, position % plane / args.outSize[2],
                  position % args.outSize[2]};
  auto inputAt = [&](int64_t d, Index tap) {
    return out[d] * spec.strides[d] + tap * spec.dilations[d] -
           spec.padBegin[d];
  };
  auto isInside = [&](int64_t d, Index at) {
    return kb.both(kb.le(zero, at), kb.lt(at, args.inSize[d]));
  };
  int64_t width = spec.kernel[2], dilation = spec.dilations[2];
  kb.forLoop(zero, kb.index(spec.kernel[0]), 1, [&](Index kd) {
    kb.forLoop(zero, kb.index(spec.kernel[1]), 1, [&](Index kh) {
      Index depth = inputAt(0, kd), height = inputAt(1, kh);
      Value inside = kb.both(isInside(0, depth), isInside(1, height));
      kb.forLoop(zero, kb.index(width), lanes, [&](Index kw) {
        Index column = inputAt(2, kw);
        Index count = min(kb.index(width) - kw, lanes);
        // Taps [begin, end) of these lie in the input.
        Index begin = ceilDiv(max(zero - column, 0), dilation);
        Index end =
            min(ceilDiv(max(args.inSize[2] - column, 0), dilation), count);
        end = kb.index(kb.ifYield(
                             inside, [&] { return Values{end}; },
                             [&] { return Values{zero}; })
                           .front());
        Index tap = (kd * spec.kernel[1] + kh) * width + kw;
        Index at = (depth * args.inSize[1] + height) * args.inSize[2] + column;
        gatherRun(image, position, tap, at, count, begin, end);
      });
    });
  });
}

/// `count` neighbouring taps for all channels.
void SmallConvEmitter::gatherRun(Index image, Index position, Index tap,
                                 Index at, Index count, Index begin,
                                 Index end) {
  int64_t dilation = spec.dilations[2];
  Value mask = kb.maskRange(begin, end), storeMask = kb.maskBelow(count);
  Index planeSize = args.inSize[0] * args.inSize[1] * args.inSize[2];
  SmallVector<int32_t> offsets;
  for (int64_t i = 0; i < lanes; ++i)
    offsets.push_back(i * dilation);
  kb.forLoop(kb.index(0), args.inChannels, 1, [&](Index channel) {
    Index from = (image * args.inChannels + channel) * planeSize + at;
    Value run;
    if (dilation == 1)
      run = kb.loadMasked(args.input, from, mask);
    else
      run = vector::GatherOp::create(kb.b, kb.loc, kb.f32Vector(), args.input,
                                     ValueRange{from}, kb.constantI32(offsets),
                                     mask, kb.zeros());
    kb.storeMasked(run, columns,
                   position * steps + channel * spec.kernelVolume() + tap,
                   storeMask);
  });
}

/// `rows` positions by `vectors` vectors of channels, in registers.
void SmallConvEmitter::multiply(Index panel, Index firstPosition,
                                int64_t half) {
  SmallVector<Index> inputs;
  for (int64_t r = 0; r < rows; ++r)
    inputs.push_back(min(firstPosition + r, positions - 1) * steps);
  auto product = [&](Index lo, Index hi, Value source, Index sourceAt,
                     ValueRange init) {
    return kb.forLoop(lo, hi, 1, init, [&](Index step, ValueRange iter) {
      Values next(iter), w;
      for (int64_t v = half; v < half + vectors; ++v)
        w.push_back(kb.loadVector(source, sourceAt + (step - lo) * panelWidth +
                                              v * lanes));
      for (int64_t r = 0; r < rows; ++r) {
        Value x = kb.loadSplat(columns, inputs[r] + step);
        for (int64_t v = 0; v < vectors; ++v) {
          Value &sum = next[r * vectors + v];
          sum = kb.fma(x, w[v], sum);
        }
      }
      return next;
    });
  };
  Index zero = kb.index(0);
  Values sums(rows * vectors, kb.zeros());
  if (spec.format.isFloat())
    sums = product(zero, steps, args.weight.codes, panel * steps * panelWidth,
                   sums);
  else
    sums = kb.forLoop(zero, steps, blockSteps, sums,
                      [&](Index lo, ValueRange iter) {
                        Index hi = min(lo + blockSteps, steps);
                        emitUnpackPanel(kb, spec.format, args.weight, panel, lo,
                                        hi, steps, weights);
                        return product(lo, hi, weights, zero, iter);
                      });
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < vectors; ++v)
      kb.storeVector(sums[r * vectors + v], tile,
                     tileAt(kb.index(r), kb.index((half + v) * lanes)));
}

/// Bias, residual and activation, and the way from [position, channel] to
/// [channel, position].
void SmallConvEmitter::finish(Index image, Index panel, Index firstPosition) {
  Index zero = kb.index(0);
  Index firstChannel = panel * panelWidth;
  Index channels = min(args.outChannels - firstChannel, panelWidth);
  Index count = min(positions - firstPosition, rows);
  auto forElements = [&](function_ref<void(Index, Index)> body) {
    kb.forLoop(zero, channels, 1, [&](Index channel) {
      Index at =
          (image * args.outChannels + firstChannel + channel) * positions +
          firstPosition;
      kb.forLoop(zero, count, 1,
                 [&](Index row) { body(tileAt(row, channel), at + row); });
    });
  };
  if (spec.epilogue.residual)
    forElements([&](Index inTile, Index at) {
      kb.store(kb.fadd(kb.load(tile, inTile), kb.load(args.residual, at)), tile,
               inTile);
    });
  kb.forLoop(zero, count, 1, [&](Index row) {
    kb.forLoop(zero, channels, lanes, [&](Index channel) {
      Index at = tileAt(row, channel);
      Value x = kb.loadVector(tile, at);
      if (spec.epilogue.bias)
        x = kb.fadd(x, kb.loadMasked(args.bias, firstChannel + channel,
                                     kb.maskBelow(channels - channel)));
      kb.storeVector(kb.emitActivation(spec.epilogue.activation, x), tile, at);
    });
  });
  forElements([&](Index inTile, Index at) {
    kb.store(kb.load(tile, inTile), args.out, at);
  });
}

} // namespace

void emitSmallConv(KernelBuilder &kernel, const ConvSpec &spec,
                   const ConvArguments &arguments,
                   function_ref<void()> otherwise) {
  SmallConvEmitter emitter(kernel, spec, arguments);
  kernel.ifThenElse(emitter.isSmall(), [&] { emitter.emit(); }, otherwise);
}

} // namespace nibble::codegen
