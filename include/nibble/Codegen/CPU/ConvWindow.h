//===- ConvWindow.h - What the taps of a filter read ------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_CONVWINDOW_H
#define NIBBLE_CODEGEN_CPU_CONVWINDOW_H

#include "nibble/Codegen/CPU/Kernels.h"

namespace nibble::codegen {

/// Where a vector of neighbouring outputs finds the inputs of one tap.
struct WindowRow {
  /// Offset of the first lane in a plane of the input; may lie outside.
  Index at;
  /// Lanes (with stride 2: of two vectors of consecutive inputs) that lie in
  /// the input.
  mlir::Value mask, secondMask;
};

/// Reads the neighbourhoods of output positions, zero outside of the input.
class ConvWindow {
public:
  ConvWindow(KernelBuilder &kernel, const ConvSpec &spec,
             const ConvArguments &arguments)
      : kb(kernel), spec(spec), args(arguments) {}

  /// Loops over the taps of the filter for `count` (at most 16) outputs from
  /// column `x` of output row `row` (depth and height as one number) on.
  /// Everything that does not depend on the channel is computed once.
  void forTaps(Index row, Index x, Index count,
               llvm::function_ref<void(Index, const WindowRow &)> body);
  /// The same with values that are carried from tap to tap.
  Values
  forTaps(Index row, Index x, Index count, mlir::ValueRange init,
          llvm::function_ref<Values(Index, const WindowRow &, mlir::ValueRange)>
              body);

  /// What all taps of a small filter read, in order, without loops.
  llvm::SmallVector<WindowRow> getTaps(Index row, Index x, Index count);
  /// Filters up to this size are small.
  static constexpr int64_t maxUnrolled = 16;

  /// Inputs of a tap in the plane that starts at `planeAt`.
  mlir::Value load(const WindowRow &row, Index planeAt);
  /// Elements of a plane of the input (one channel of one image).
  Index planeSize() { return args.inSize[0] * args.inSize[1] * args.inSize[2]; }

  /// The columns that one tap reads, in the first row of a plane, for outputs
  /// from `x` on.
  WindowRow getColumns(Index x, Index count, Index kw);
  /// The same `rows` (of depth and height) further on: none if those lie
  /// outside, as `inside` says.
  WindowRow moveDown(const WindowRow &columns, Index rows, mlir::Value inside);

private:
  WindowRow getRow(Index row, Index x, Index count, Index kd, Index kh,
                   Index kw);

  KernelBuilder &kb;
  const ConvSpec &spec;
  const ConvArguments &args;
};

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_CONVWINDOW_H
