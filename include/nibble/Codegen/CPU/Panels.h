//===- Panels.h - Reading packed weights ------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The `panel` packing: rows of the weight are cut in panels of 32 output
// channels (the last is filled up), and in a panel the contraction runs
// outermost. A *step* is what belongs to one index of the contraction:
//
//   float   32 floats
//   5 to 8 bit   32 bytes
//   4 bit   16 bytes, byte j = c[j] | c[j+16] << 4
//   3 bit   12 bytes: the low two bits as for 2 bit, then a little-endian word
//           whose bit i is the high bit of c[i]
//   2 bit   8 bytes, byte j = c[j] | c[j+8] << 2 | c[j+16] << 4 | c[j+24] << 6
//
// Codes are unsigned; without zero points 2^(b-1) stands for 0. Scales and zero
// points are [panel][group][32]. They may be codes themselves: see `second` of
// `#nibble.scheme`.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CPU_PANELS_H
#define NIBBLE_CODEGEN_CPU_PANELS_H

#include "nibble/Codegen/CPU/KernelBuilder.h"

namespace nibble::codegen {

/// What has to be known of a weight to read it.
struct WeightFormat {
  /// 32 is a float weight without scales.
  unsigned bits = 32;
  bool hasZeros = false;
  /// Zero points are floats of the scales' type, not codes.
  bool floatZeros = false;
  /// Zero points are added to the product instead, floats also.
  bool minimum = false;
  /// What a code stands for: an integer, or a value of NF4 or FP4.
  CodebookKind codebook = CodebookKind::Int;
  /// Weights that share a scale; 0: all of a row.
  int64_t group = 0;
  /// Type of the scales; null for a float weight.
  mlir::Type scaleType;
  /// Scales and float zeros are 8-bit codes: the fields of the scheme, and
  /// whether what they share lies in panels.
  struct {
    mlir::Type type;
    int64_t group = 0;
    bool dynamic = false, offset = false, inPanels = false;
  } second;

  bool isFloat() const { return bits == 32; }
  /// Row of `second` from which on that of the zeros lies.
  int64_t secondRowOfZeros() const { return second.offset ? 2 : 1; }
  int64_t numSecondRows() const {
    return secondRowOfZeros() * (floatZeros || minimum ? 2 : 1);
  }
  /// Values of the codes of NF4 and FP4.
  llvm::ArrayRef<float> getTable() const;
  /// Elements of the codes' memref (f32 or i8) that a step takes.
  int64_t stepSize() const {
    if (isFloat() || bits > 6)
      return KernelBuilder::panelWidth;
    return 4 * int64_t(bits);
  }
  /// Length of a group in a row of `k` weights.
  Index groupLength(Index k) const;
  Index numGroups(Index k) const;
  /// A part of a symbol name: `int4_g32_f16_z`.
  std::string getName() const;
};

/// The weight operands of a kernel, as flat memrefs.
struct WeightOperands {
  mlir::Value codes;
  mlir::Value scales;
  mlir::Value zeros;
  mlir::Value second;
};

/// Values of the codebook for codes, a scalar or a vector of i32 of which only
/// the low four bits count.
mlir::Value emitTableValues(KernelBuilder &kernel, const WeightFormat &format,
                            mlir::Value codes);

/// Scales or zero points from their codes (i8, a scalar or a vector).
/// `loadRow(r)` gives what they share: of row `row` of `second` what they are
/// multiplied with, of the next what is added.
mlir::Value emitSecondLevel(KernelBuilder &kernel, const WeightFormat &format,
                            mlir::Value codes, int64_t row,
                            llvm::function_ref<mlir::Value(int64_t)> loadRow);

/// Builds the code that reads some vectors of each step of a panel:
/// `numVectors` vectors of 16 channels, from vector `first` on.
class PanelReader {
public:
  PanelReader(KernelBuilder &kernel, const WeightFormat &format,
              const WeightOperands &operands, int64_t first, int64_t numVectors)
      : kernel(kernel), format(format), operands(operands), first(first),
        numVectors(numVectors) {}

  /// Index of the first element of the codes of `step` of `panel`.
  Index codesAt(Index panel, Index step, Index k) {
    return (panel * k + step) * format.stepSize();
  }
  /// Scales of a group as floats.
  Values loadScales(Index panel, Index group, Index k);
  /// Zero points of a group as floats; empty if there are none.
  Values loadZeros(Index panel, Index group, Index k);
  /// `code - zero` of the step that starts at `at`; the weight itself if it is
  /// float. Exact. `zeros` is empty if they are minimums.
  Values loadStep(Index at, mlir::ValueRange zeros);
  /// `scale * (code - zero)`, or `scale * code + zero`.
  Values loadScaled(Index at, mlir::ValueRange scales, mlir::ValueRange zeros);

private:
  /// Vectors of `values`, scales or zero points of a group, from codes; `row`
  /// is the first row of `second` for them.
  Values loadEncoded(mlir::Value values, int64_t row, Index panel, Index group,
                     Index k);
  /// Codes of the step as integers in vectors of i32, of which only the low
  /// `bits` count if `dirty` is set.
  Values loadCodes(Index at, bool &dirty);
  mlir::Value toFloat(mlir::Value codes, bool dirty);

  KernelBuilder &kernel;
  const WeightFormat &format;
  WeightOperands operands;
  int64_t first;
  int64_t numVectors;
};

/// Writes steps [begin, end) of a panel as floats to `scratch`, 32 for each
/// step, the first at `scratch[0]`.
void emitUnpackPanel(KernelBuilder &kernel, const WeightFormat &format,
                     const WeightOperands &operands, Index panel, Index begin,
                     Index end, Index k, mlir::Value scratch);

} // namespace nibble::codegen

#endif // NIBBLE_CODEGEN_CPU_PANELS_H
