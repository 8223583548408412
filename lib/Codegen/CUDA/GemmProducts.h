//===- GemmProducts.h - Products of tiles on tensor cores ---------*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a warp does with the tiles that the pipeline of GemmKernel.cpp brings:
// the place where kinds of tensor cores differ. `wgmma` reads its operands from
// shared memory by descriptor and takes four warps together: it needs a
// pipeline of its own beside that one, with these epilogues.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CODEGEN_CUDA_GEMMPRODUCTS_H
#define NIBBLE_LIB_CODEGEN_CUDA_GEMMPRODUCTS_H

#include "WeightReader.h"
#include <memory>

namespace nibble::codegen::cuda {

/// A stage of the pipeline in shared memory, as a warp sees it: the input's
/// tile of the block, and of its panel the codes, the scales and the zero
/// points of the tile's segments.
struct GemmStage {
  mlir::Value input, codes, scales, zeros;
};

class GemmProducts {
public:
  static constexpr int64_t warpSize = WeightLayout::warpSize;
  /// Columns of 8 channels of a panel.
  static constexpr int64_t columns = 4;

  GemmProducts(KernelEmitter &e, const GemmKernelOptions &o,
               WeightReader &reader)
      : e(e), o(o), reader(reader) {}
  virtual ~GemmProducts() = default;
  static std::unique_ptr<GemmProducts>
  create(KernelEmitter &e, const GemmKernelOptions &o, WeightReader &reader);

  /// Bytes of a row of the input in a tile.
  static int64_t getRowBytes(const GemmKernelOptions &o) {
    return WeightLayout::tileDepth * (o.isByte() ? 1 : 2);
  }
  /// Where 16 bytes number `unit` of row `row` lie in a tile of the input: rows
  /// of 128 bytes take turns with all eight units, of two rows of 64 bytes each
  /// with its four.
  static mlir::Value getUnitOffset(KernelEmitter &e, const GemmKernelOptions &o,
                                   mlir::Value row, mlir::Value unit);

  /// Rows of 16 that a warp computes.
  int64_t rowTiles() const {
    return std::min<int64_t>(64, o.rowsPerBlock) / 16;
  }

  /// Sums before the first tile. What they are is the subclass's business.
  virtual Values begin() = 0;
  /// Adds the products of a tile. The warp's rows begin at `firstRow` of the
  /// stage's input.
  virtual Values addTile(const GemmStage &stage, mlir::Value firstRow,
                         mlir::Value lane, mlir::ValueRange sums) = 0;
  /// Sums as f32 in the order of `index`, without scales of rows; as i32 if
  /// the input has zero points, which have to be taken off.
  virtual Values finish(mlir::ValueRange sums) = 0;

  /// Sum number `element` (0 to 3) of column `j` of row tile `tile`.
  static size_t index(int64_t tile, int64_t j, int64_t element) {
    return (tile * columns + j) * 4 + element;
  }

protected:
  /// Registers of operand A of 16 rows: step `step` of 32 bytes.
  Values loadInput(const GemmStage &stage, mlir::Value firstRow,
                   mlir::Value lane, int64_t tile, int64_t step);

  KernelEmitter &e;
  const GemmKernelOptions &o;
  WeightReader &reader;
};

} // namespace nibble::codegen::cuda

#endif // NIBBLE_LIB_CODEGEN_CUDA_GEMMPRODUCTS_H
