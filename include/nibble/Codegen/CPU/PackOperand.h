//===- PackOperand.h - Packing operands at run time -------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operands of a product that are computed at run time are copied to where a
// kernel reads them well. A matrix has lines (rows of the result for the left
// operand, columns for the right) and steps of the contraction. Packed as rows,
// a line is contiguous; as panels, 32 lines lie side by side and steps follow
// each other, as in `Panels.h`. For tiles numbers are bf16, and a panel has for
// each 32 steps two tiles of 16 lines, [pair of steps][line][2]. Steps are
// filled up with zeros to whole cache lines; lines that do not exist hold
// anything.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_PACKOPERAND_H
#define NIBBLE_CODEGEN_CPU_PACKOPERAND_H

#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

/// Sizes of packed operands with `steps`, in elements.
class PackedLayout {
public:
  PackedLayout(KernelBuilder &kernel, bool bf16, Index steps);

  /// From one row to the next: an odd number of cache lines, for rows must not
  /// share a set.
  Index rowSize() const { return row; }
  Index panelSize() const { return filledSteps * KernelBuilder::panelWidth; }
  /// One matrix as rows: whole groups of 32.
  Index rowsSize(Index lines) const;
  Index panelsSize(Index lines) const;
  /// Memory for `size` elements, aligned to cache lines.
  mlir::Value allocate(Index size) const;

private:
  KernelBuilder &kb;
  mlir::Type element;
  Index filledSteps, row;
};

struct PackSpec {
  /// As panels, else as rows.
  bool panels = false;
  /// Steps are neighbours in the source, else lines are.
  bool alongSteps = false;
  /// For tiles of bf16, else floats.
  bool bf16 = false;

  std::string getName() const;
};

struct PackArguments {
  /// Floats; what `PackedLayout` describes.
  mlir::Value source, dest;
  Index lines, steps;
  /// From one line to the next if steps are neighbours, else from one step.
  Index stride;
  /// Matrices, and how many of them have the same outer number; the elements
  /// from one number to the next. Packed they follow each other.
  Index batches, inner, outerBatch, innerBatch;
};

void emitPack(KernelBuilder &kernel, const PackSpec &spec,
              const PackArguments &arguments);

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_PACKOPERAND_H
