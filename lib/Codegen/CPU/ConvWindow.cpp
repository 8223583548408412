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

SmallVector<WindowRow> ConvWindow::getTaps(Index row, Index x, Index count) {
  SmallVector<WindowRow> taps;
  for (int64_t kd = 0; kd < spec.kernel[0]; ++kd)
    for (int64_t kh = 0; kh < spec.kernel[1]; ++kh)
      for (int64_t kw = 0; kw < spec.kernel[2]; ++kw)
        taps.push_back(
            getRow(row, x, count, kb.index(kd), kb.index(kh), kb.index(kw)));
  return taps;
}

WindowRow ConvWindow::getColumns(Index x, Index count, Index kw) {
  int64_t stride = spec.strides[2];
  Index in = x * stride + kw * spec.dilations[2] - spec.padBegin[2];
  WindowRow result;
  result.at = in;
  // Lanes [begin, end) are inside.
  Index begin = max(kb.index(0) - in, 0);
  Index available = args.inSize[2] - in;
  Index end;
  if (stride == 1) {
    end = min(available, count);
  } else if (stride == 2) {
    end = min(available, count * 2 - 1);
  } else {
    begin = ceilDiv(begin, stride);
    end = min(ceilDiv(max(available, 0), stride), count);
  }
  result.mask = kb.maskRange(begin, end);
  if (stride == 2)
    result.secondMask = kb.maskRange(begin - lanes, end - lanes);
  return result;
}

WindowRow ConvWindow::moveDown(const WindowRow &columns, Index rows,
                               Value inside) {
  WindowRow result = columns;
  result.at = rows * args.inSize[2] + columns.at;
  Value all = kb.splat(inside);
  result.mask = kb.both(columns.mask, all);
  if (columns.secondMask)
    result.secondMask = kb.both(columns.secondMask, all);
  return result;
}

WindowRow ConvWindow::getRow(Index row, Index x, Index count, Index kd,
                             Index kh, Index kw) {
  Index height = args.outSize[1];
  Index zero = kb.index(0);
  Index depthAt = row / height * spec.strides[0] + kd * spec.dilations[0] -
                  spec.padBegin[0];
  Index heightAt = row % height * spec.strides[1] + kh * spec.dilations[1] -
                   spec.padBegin[1];
  Value inside =
      kb.both(kb.le(zero, heightAt), kb.lt(heightAt, args.inSize[1]));
  if (spec.kernel[0] != 1 || spec.padBegin[0] != 0)
    inside = kb.both(
        inside, kb.both(kb.le(zero, depthAt), kb.lt(depthAt, args.inSize[0])));
  return moveDown(getColumns(x, count, kw), depthAt * args.inSize[1] + heightAt,
                  inside);
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
