//===- GroupedConvKernel.cpp - Convolution with groups --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/ConvWindow.h"
#include "nibble/Codegen/CPU/Kernels.h"
#include "nibble/Codegen/CPU/Rows.h"

using namespace mlir;

namespace nibble::codegen {

static constexpr int64_t lanes = KernelBuilder::lanes;
/// Taps of a filter that are kept in registers.
static constexpr int64_t maxTaps = 25;

namespace {

class GroupedConvEmitter {
public:
  GroupedConvEmitter(KernelBuilder &kernel, const ConvSpec &spec,
                     const ConvArguments &arguments)
      : kb(kernel), spec(spec), args(arguments),
        window(kernel, spec, arguments) {}

  void emit();

private:
  /// One output channel of one image, and where its filter and its first
  /// input channel begin.
  struct Plane {
    Index number, channel, inputAt, weightsAt;
    Value weights;
  };

  void emitPlane(const Plane &plane);
  void emitSmallFilter(const Plane &plane);
  void finish(const Plane &plane, Index row, Index x, Value mask, Value sum);

  KernelBuilder &kb;
  const ConvSpec &spec;
  const ConvArguments &args;
  ConvWindow window;
};

void GroupedConvEmitter::emit() {
  int64_t filterSize = spec.groupChannels * spec.kernelVolume();
  Index groups = args.inChannels / spec.groupChannels;
  Index groupOut = args.outChannels / groups;
  Index planes = args.batch * args.outChannels;
  Index pixels = args.outSize[0] * args.outSize[1] * args.outSize[2];
  Index tasks = kb.tasksFor(planes * pixels * filterSize, planes);
  // Depth is a matter of the general loops.
  bool small = spec.groupChannels == 1 && spec.kernelVolume() <= maxTaps &&
               spec.kernel[0] == 1 && spec.padBegin[0] == 0;

  kb.parallelRanges(planes, tasks, [&](Index lo, Index hi) {
    Value filter;
    if (!spec.format.isFloat())
      filter = kb.scratch(filterSize);
    kb.forLoop(lo, hi, 1, [&](Index number) {
      Plane plane;
      plane.number = number;
      plane.channel = number % args.outChannels;
      Index image = number / args.outChannels;
      plane.inputAt = (image * args.inChannels +
                       plane.channel / groupOut * spec.groupChannels) *
                      window.planeSize();
      plane.weights = filter ? filter : args.weight.codes;
      plane.weightsAt = filter ? kb.index(0) : plane.channel * filterSize;
      if (filter)
        emitUnpackRow(kb, spec.format, args.weight, plane.channel, filterSize,
                      filter, kb.index(0));
      if (small)
        emitSmallFilter(plane);
      else
        emitPlane(plane);
    });
  });
}

void GroupedConvEmitter::finish(const Plane &plane, Index row, Index x,
                                Value mask, Value sum) {
  Index outRows = args.outSize[0] * args.outSize[1];
  Index at = (plane.number * outRows + row) * args.outSize[2] + x;
  if (spec.epilogue.bias)
    sum = kb.fadd(sum, kb.loadSplat(args.bias, plane.channel));
  if (spec.epilogue.residual)
    sum = kb.fadd(sum, kb.loadMasked(args.residual, at, mask));
  sum = kb.emitActivation(spec.epilogue.activation, sum);
  kb.storeMasked(sum, args.out, at, mask);
}

/// Any filter: loops over taps and input channels for each vector of outputs.
void GroupedConvEmitter::emitPlane(const Plane &plane) {
  Index zero = kb.index(0);
  Index width = args.outSize[2];
  auto addTap = [&](Index row, Index x, Index count, ValueRange init) {
    return window.forTaps(
        row, x, count, init,
        [&](Index tap, const WindowRow &source, ValueRange iter) {
          return kb.forLoop(
              zero, kb.index(spec.groupChannels), 1, iter,
              [&](Index c, ValueRange inner) {
                Value w = kb.loadSplat(plane.weights,
                                       plane.weightsAt +
                                           c * spec.kernelVolume() + tap);
                Value in =
                    window.load(source, plane.inputAt + c * window.planeSize());
                return Values{kb.fma(w, in, inner[0])};
              });
        });
  };
  kb.forLoop(zero, args.outSize[0] * args.outSize[1], 1, [&](Index row) {
    kb.forLoop(zero, width, lanes, [&](Index x) {
      Index count = min(width - x, lanes);
      Value sum = addTap(row, x, count, kb.zeros()).front();
      finish(plane, row, x, kb.maskBelow(count), sum);
    });
  });
}

/// One input channel and a few taps, which stay in registers. Works down
/// columns of vectors: masks depend on the column alone, except near the upper
/// and the lower edge.
void GroupedConvEmitter::emitSmallFilter(const Plane &plane) {
  Index zero = kb.index(0);
  Index width = args.outSize[2], height = args.outSize[1];
  Values filter;
  for (int64_t tap = 0; tap < spec.kernelVolume(); ++tap)
    filter.push_back(kb.loadSplat(plane.weights, plane.weightsAt + tap));

  int64_t stride = spec.strides[1], dilation = spec.dilations[1];
  kb.forLoop(zero, args.outSize[0], 1, [&](Index depth) {
    Index inRow = depth * spec.strides[0] * args.inSize[1];
    kb.forLoop(zero, width, lanes, [&](Index x) {
      Index count = min(width - x, lanes);
      Value mask = kb.maskBelow(count);
      SmallVector<WindowRow> columns;
      for (int64_t kw = 0; kw < spec.kernel[2]; ++kw)
        columns.push_back(window.getColumns(x, count, kb.index(kw)));
      kb.forLoop(zero, height, 1, [&](Index y) {
        Index first = y * stride - spec.padBegin[1];
        Index last = first + (spec.kernel[1] - 1) * dilation;
        auto sumUp = [&](bool checked) {
          Value sum = kb.zeros();
          for (int64_t kh = 0; kh < spec.kernel[1]; ++kh) {
            Index row = first + kh * dilation;
            for (auto [kw, column] : llvm::enumerate(columns)) {
              WindowRow source = column;
              if (checked)
                source = window.moveDown(
                    column, inRow + row,
                    kb.both(kb.le(zero, row), kb.lt(row, args.inSize[1])));
              else
                source.at = (inRow + row) * args.inSize[2] + column.at;
              sum = kb.fma(filter[kh * spec.kernel[2] + kw],
                           window.load(source, plane.inputAt), sum);
            }
          }
          return Values{sum};
        };
        Value middle = kb.both(kb.le(zero, first), kb.lt(last, args.inSize[1]));
        Value sum = kb.ifYield(
                          middle, [&] { return sumUp(false); },
                          [&] { return sumUp(true); })
                        .front();
        finish(plane, depth * height + y, x, mask, sum);
      });
    });
  });
}

} // namespace

void emitGroupedConv(KernelBuilder &kernel, const ConvSpec &spec,
                     const ConvArguments &arguments) {
  GroupedConvEmitter(kernel, spec, arguments).emit();
}

} // namespace nibble::codegen
