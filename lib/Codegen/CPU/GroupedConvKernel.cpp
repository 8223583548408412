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

void emitGroupedConv(KernelBuilder &kb, const ConvSpec &spec,
                     const ConvArguments &args) {
  int64_t volume = spec.kernelVolume();
  int64_t filterSize = spec.groupChannels * volume;
  Index zero = kb.index(0);
  Index outRows = args.outSize[0] * args.outSize[1];
  Index width = args.outSize[2];
  Index groups = args.inChannels / spec.groupChannels;
  Index groupOut = args.outChannels / groups;
  Index planes = args.batch * args.outChannels;
  Index tasks = kb.tasksFor(planes * outRows * width * filterSize, planes);

  kb.parallelRanges(planes, tasks, [&](Index lo, Index hi) {
    Value filter;
    if (!spec.format.isFloat())
      filter = kb.scratch(filterSize);
    kb.forLoop(lo, hi, 1, [&](Index plane) {
      Index image = plane / args.outChannels;
      Index channel = plane % args.outChannels;
      Index firstIn =
          image * args.inChannels + channel / groupOut * spec.groupChannels;
      Value weights = filter ? filter : args.weight.codes;
      Index weightsAt = filter ? zero : channel * filterSize;
      if (filter)
        emitUnpackRow(kb, spec.format, args.weight, channel, filterSize, filter,
                      zero);
      ConvWindow window(kb, spec, args);
      Index planeSize = window.planeSize();
      kb.forLoop(zero, outRows, 1, [&](Index row) {
        kb.forLoop(zero, width, lanes, [&](Index x) {
          Index count = min(width - x, lanes);
          Value sum =
              window
                  .forTaps(
                      row, x, count, kb.zeros(),
                      [&](Index tap, const WindowRow &source, ValueRange iter) {
                        return kb.forLoop(
                            zero, kb.index(spec.groupChannels), 1, iter,
                            [&](Index c, ValueRange inner) {
                              Value w = kb.loadSplat(
                                  weights, weightsAt + c * volume + tap);
                              Value in = window.load(source,
                                                     (firstIn + c) * planeSize);
                              return Values{kb.fma(w, in, inner[0])};
                            });
                      })
                  .front();
          Index at = (plane * outRows + row) * width + x;
          Value mask = kb.maskBelow(count);
          if (spec.epilogue.bias)
            sum = kb.fadd(sum, kb.loadSplat(args.bias, channel));
          if (spec.epilogue.residual)
            sum = kb.fadd(sum, kb.loadMasked(args.residual, at, mask));
          sum = kb.emitActivation(spec.epilogue.activation, sum);
          kb.storeMasked(sum, args.out, at, mask);
        });
      });
    });
  });
}

} // namespace nibble::codegen
