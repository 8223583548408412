//===- ConvWindow.cpp - What the taps of a filter read --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/ConvWindow.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace nibble::codegen {

static constexpr int64_t lanes = KernelBuilder::lanes;

Values ConvWindow::forTaps(
    Index row, Index x, Index count, ValueRange init,
    function_ref<Values(Index, const WindowRow &, ValueRange)> body) {
  ArrayRef<int64_t> k = spec.kernel;
  Index zero = kb.index(0);
  // The width is outermost: masks depend on it alone.
  return kb.forLoop(zero, kb.index(k[2]), 1, init, [&](Index kw, ValueRange a) {
    return kb.forLoop(zero, kb.index(k[0]), 1, a, [&](Index kd, ValueRange b) {
      return kb.forLoop(zero, kb.index(k[1]), 1, b,
                        [&](Index kh, ValueRange c) {
                          WindowRow source = getRow(row, x, count, kd, kh, kw);
                          return body((kd * k[1] + kh) * k[2] + kw, source, c);
                        });
    });
  });
}

void ConvWindow::forTaps(Index row, Index x, Index count,
                         function_ref<void(Index, const WindowRow &)> body) {
  forTaps(row, x, count, {},
          [&](Index tap, const WindowRow &source, ValueRange) {
            body(tap, source);
            return Values();
          });
}

WindowRow ConvWindow::getRow(Index row, Index x, Index count, Index kd,
                             Index kh, Index kw) {
  Index height = args.outSize[1];
  Index out[3] = {row / height, row % height, x};
  Index tap[3] = {kd, kh, kw};
  SmallVector<Index, 3> in;
  for (int64_t i = 0; i < 3; ++i)
    in.push_back(out[i] * spec.strides[i] + tap[i] * spec.dilations[i] -
                 spec.padBegin[i]);
  WindowRow result;
  result.at = (in[0] * args.inSize[1] + in[1]) * args.inSize[2] + in[2];

  // Lanes [begin, end) are inside; none are if the whole row is outside.
  Index zero = kb.index(0);
  Value inside = kb.both(kb.le(zero, in[1]), kb.lt(in[1], args.inSize[1]));
  if (spec.kernel[0] != 1 || spec.padBegin[0] != 0)
    inside = kb.both(inside,
                     kb.both(kb.le(zero, in[0]), kb.lt(in[0], args.inSize[0])));
  int64_t stride = spec.strides[2];
  Index begin = max(zero - in[2], 0);
  Index available = args.inSize[2] - in[2];
  Index end;
  if (stride == 1) {
    end = min(available, count);
  } else if (stride == 2) {
    end = min(available, count * 2 - 1);
  } else {
    begin = ceilDiv(begin, stride);
    end = min(ceilDiv(max(available, 0), stride), count);
  }
  end = kb.index(kb.b.createOrFold<arith::SelectOp>(kb.loc, inside, Value(end),
                                                    Value(zero)));
  result.mask = kb.maskRange(begin, end);
  if (stride == 2)
    result.secondMask = kb.maskRange(begin - lanes, end - lanes);
  return result;
}

Value ConvWindow::load(const WindowRow &row, Index planeAt) {
  Index at = planeAt + row.at;
  int64_t stride = spec.strides[2];
  if (stride == 1)
    return kb.loadMasked(args.input, at, row.mask);
  if (stride == 2) {
    Value first = kb.loadMasked(args.input, at, row.mask);
    Value second = kb.loadMasked(args.input, at + lanes, row.secondMask);
    SmallVector<int64_t> even;
    for (int64_t i = 0; i < lanes; ++i)
      even.push_back(2 * i);
    return vector::ShuffleOp::create(kb.b, kb.loc, first, second, even);
  }
  SmallVector<int32_t> offsets;
  for (int64_t i = 0; i < lanes; ++i)
    offsets.push_back(i * stride);
  return vector::GatherOp::create(kb.b, kb.loc, kb.f32Vector(), args.input,
                                  ValueRange{at}, kb.constantI32(offsets),
                                  row.mask, kb.zeros());
}

} // namespace nibble::codegen
