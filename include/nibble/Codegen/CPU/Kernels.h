//===- Kernels.h - The kernels of fused operations --------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each function here builds the body of one kernel. A kernel is a function on
// flat memrefs and sizes; `convert-nibble-to-kernels` makes one for each
// distinct spec and calls it.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_KERNELS_H
#define NIBBLE_CODEGEN_CPU_KERNELS_H

#include "nibble/Codegen/CPU/Panels.h"

namespace nibble::codegen {

/// What follows the sum of products.
struct EpilogueSpec {
  Activation activation = Activation::None;
  bool bias = false;
  bool residual = false;

  std::string getName() const;
};

/// `out[m, n] = act(sum_k input[m, k] * w[n, k] + bias[n] + residual[m, n])`,
/// any sizes, `w` in panels.
///
/// One row streams through the weights, several panels at a time. Up to
/// `tileRows` rows unpack each step once, in registers. More rows unpack blocks
/// of a panel to a scratch buffer in the first-level cache and reuse it.
struct MatMulSpec {
  WeightFormat format;
  EpilogueSpec epilogue;

  std::string getName() const;
};

struct MatMulArguments {
  mlir::Value input;
  WeightOperands weight;
  mlir::Value bias;
  mlir::Value residual;
  mlir::Value out;
  Index m, n, k;
};

void emitMatMul(KernelBuilder &kernel, const MatMulSpec &spec,
                const MatMulArguments &arguments);

/// Products of one size whose matrices are not one contiguous piece of memory
/// each: where they are, in elements.
struct MatMulBatch {
  /// Products, and how many of them have the same outer number.
  Index count, inner;
  /// From one row to the next, and from one number to the next. Panels of
  /// products follow each other.
  struct Rows {
    Index row, outerBatch, innerBatch;
  } input, out;
  /// From one panel to the next.
  Index panel;
  /// Adds to what is in the result.
  bool accumulate = false;

  Index at(const Rows &rows, Index number) const {
    return number / inner * rows.outerBatch + number % inner * rows.innerBatch;
  }
};

/// The same for many rows of floats, many times. `weight` is floats in panels.
void emitMatMulBatch(KernelBuilder &kernel, const MatMulArguments &arguments,
                     const MatMulBatch &batch);

/// The same in AMX tiles: input and weight are rounded to bf16 (but codes with
/// one scale for a row are exact), sums are f32.
void emitMatMulTiles(KernelBuilder &kernel, const MatMulSpec &spec,
                     const MatMulArguments &arguments);
/// Many times, with both operands as `PackedOperand` lays them out for tiles.
void emitMatMulTilesBatch(KernelBuilder &kernel,
                          const MatMulArguments &arguments,
                          const MatMulBatch &batch);
/// False for groups that pairs of steps do not fit.
bool fitsTiles(const MatMulSpec &spec);

/// Adds bias and residual to 16 sums that belong at `at` of the result, in
/// channel `column` and on.
mlir::Value addTerms(KernelBuilder &kernel, const EpilogueSpec &spec,
                     const MatMulArguments &arguments, mlir::Value sums,
                     Index column, Index at, mlir::Value mask);

/// Convolution of [batch, channels, D, H, W] with one group, `w` in panels, by
/// implicit matrix product: blocks of 32 output positions are gathered with
/// their neighbourhoods (on the stack, at most some hundred steps of the
/// contraction at a time) and multiplied with unpacked panels.
struct ConvSpec {
  WeightFormat format;
  EpilogueSpec epilogue;
  /// Depth, height, width; 1-D and 2-D convolutions have leading ones.
  llvm::SmallVector<int64_t, 3> kernel, strides, dilations, padBegin;
  /// Input channels of a group, 0 if there is one group.
  int64_t groupChannels = 0;

  int64_t kernelVolume() const { return kernel[0] * kernel[1] * kernel[2]; }
  std::string getName() const;
};

struct ConvArguments {
  mlir::Value input;
  WeightOperands weight;
  mlir::Value bias;
  mlir::Value residual;
  mlir::Value out;
  Index batch, inChannels, outChannels;
  llvm::SmallVector<Index, 3> inSize, outSize;
};

void emitConv(KernelBuilder &kernel, const ConvSpec &spec,
              const ConvArguments &arguments);

/// The same for at most 16 output positions with neighbourhoods that fit on the
/// stack: a product of as many rows with vectors along the channels of the
/// panels. `otherwise` builds what is done for more.
void emitSmallConv(KernelBuilder &kernel, const ConvSpec &spec,
                   const ConvArguments &arguments,
                   llvm::function_ref<void()> otherwise);

/// Convolution with groups, vectors along the width of the output. The weights
/// are as the model has them: floats, or codes in `rows` packing.
void emitGroupedConv(KernelBuilder &kernel, const ConvSpec &spec,
                     const ConvArguments &arguments);

/// Copies rows of a table, floats or codes, as floats. Negative indices count
/// from the end. All indices are in range.
struct GatherSpec {
  WeightFormat format;
  /// The table is in `panel` packing, else in `rows` packing.
  bool panels = false;
  mlir::Type indexType;
  int64_t rows = 0;
  int64_t width = 0;

  std::string getName() const;
};

struct GatherArguments {
  mlir::Value indices;
  WeightOperands table;
  mlir::Value out;
  Index count;
};

void emitGather(KernelBuilder &kernel, const GatherSpec &spec,
                const GatherArguments &arguments);

/// The row of the table that index number `at` names: negative ones count from
/// the end.
Index loadTableIndex(KernelBuilder &kernel, mlir::Value indices, Index at,
                     int64_t rows);

/// Stops the run with `message` if one of `count` indices is not in
/// [-rows, rows). Not for parallel code: see `nibble-lower-assert`.
void emitIndexCheck(KernelBuilder &kernel, mlir::Value indices, Index count,
                    int64_t rows, llvm::StringRef message);

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_KERNELS_H
