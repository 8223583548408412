//===- WeightReader.h - Reading packed weights in CUDA kernels ----*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CODEGEN_CUDA_WEIGHTREADER_H
#define NIBBLE_LIB_CODEGEN_CUDA_WEIGHTREADER_H

#include "KernelEmitter.h"

namespace nibble::codegen::cuda {

/// Builds the code that reads the codes that a lane has of a tile, from global
/// or from shared memory.
class WeightReader {
public:
  WeightReader(KernelEmitter &e, const KernelWeight &weight)
      : e(e), weight(weight), layout(weight.layout) {}

  /// Bytes of shared memory that the values of a codebook take.
  static int64_t getTableBytes(const KernelWeight &weight) {
    return weight.table.empty() ? 0 : 16 * WeightLayout::warpSize * 4;
  }
  /// Fills the table of a codebook, once for each lane and so in its own bank,
  /// by all `warps` of a block, and waits for it.
  void fillTable(mlir::Value shared, mlir::Value warp, mlir::Value lane,
                 int64_t warps);

  /// The words of the planes of a tile, those of low bits first. `constant`:
  /// see KernelEmitter::load.
  Values loadWords(mlir::Value tile, mlir::Value lane, bool constant);

  /// The code of numbers j, kk, r as f32: its value in the codebook, or
  /// `getMagic()` + code, without a conversion: the code is put below the
  /// exponent of 2^bits.
  mlir::Value decode(const Values &words, int64_t j, int64_t kk, int64_t r);
  /// The codes with r = 2 * half and the next one in the low bits of the two
  /// halves of a word.
  mlir::Value decodePair(const Values &words, int64_t j, int64_t kk,
                         int64_t half);

  /// What `decode` gives for an integer in the low bits of `code`.
  mlir::Value addMagic(mlir::Value code);
  double getMagic() const { return double(1u << layout.bits); }

  bool isTable() const { return !weight.table.empty(); }
  /// Steps of the contraction that share a scale in every tile.
  static int64_t getSegment(const KernelWeight &weight);
  int64_t getSegment() const { return getSegment(weight); }

private:
  KernelEmitter &e;
  const KernelWeight &weight;
  const WeightLayout &layout;
  mlir::Value table;
};

} // namespace nibble::codegen::cuda

#endif // NIBBLE_LIB_CODEGEN_CUDA_WEIGHTREADER_H
