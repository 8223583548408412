//===- WeightLayout.h - Weights in the order of CUDA kernels ------*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One layout serves the matrix-vector kernels and those for tensor cores, so
// that a weight is in the file and on the device once.
//
// A weight [N, K] is cut in *panels* of 32 output channels and along K in
// *tiles* of 64; both are filled up. A tile is what a warp takes at a time: 64
// codes for each of the 32 lanes, in the order in which they are the operand B
// of `mma`. With g = lane / 4 and t = lane % 4, lane (g, t) holds, for j and kk
// from 0 to 3 and r from 0 to 3,
//
//   n = 4 * g + j
//   k = 16 * kk + 2 * t + (r & 1) + 8 * (r >> 1)     Fragment::Half
//   k = 16 * kk + 4 * t + r                          Fragment::Byte
//
// (PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type" and
// "... mma.m16n8k32": column g of the product with number j is channel 4g + j,
// so that the eight columns that a lane holds of a result are neighbours.)
//
// The codes of a lane are 32-bit words, code by code in the order that turns
// into registers with one shift and one mask:
//
//   Fragment::Half   pair p = 8 * kk + 2 * j + (r >> 1): the code with r & 1 in
//                    half r & 1 of word p / (16 / b), bits b * (p % (16 / b))
//   Fragment::Byte   quad q = 4 * kk + j: the code with r in byte r of word
//                    q / (8 / b), bits b * (q % (8 / b))
//
// Codes of 3 bits are a plane of their low two bits and one of their high bit,
// each in that order. Words of a plane are stored four at a time (two for the
// high bits), lane after lane, so that each load of a warp is 16 bytes (8) per
// lane and contiguous. Tiles of a panel follow each other, then panels.
//
// Codes are unsigned: without zero points 2^(b-1) stands for 0. Scales and zero
// points are [panel][group][32 channels]; scales of channels that only fill up
// are zero.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CODEGEN_CUDA_WEIGHTLAYOUT_H
#define NIBBLE_CODEGEN_CUDA_WEIGHTLAYOUT_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace nibble::codegen::cuda {

/// The instruction whose operand the codes become: products of halves
/// (m16n8k16 of f16 and bf16) or of bytes (m16n8k32 of s8).
enum class Fragment : uint8_t { Half, Byte };

struct WeightLayout {
  /// Output channels of a panel.
  static constexpr int64_t panelWidth = 32;
  /// Steps of the contraction in a tile.
  static constexpr int64_t tileDepth = 64;
  static constexpr int64_t warpSize = 32;
  static constexpr int64_t codesPerLane = panelWidth * tileDepth / warpSize;

  int64_t n = 0;
  int64_t k = 0;
  /// 2, 3, 4 or 8.
  unsigned bits = 4;
  Fragment fragment = Fragment::Half;

  int64_t numPanels() const { return (n + panelWidth - 1) / panelWidth; }
  int64_t numTiles() const { return (k + tileDepth - 1) / tileDepth; }
  /// Bytes of a tile: 2048 codes.
  int64_t tileBytes() const { return panelWidth * tileDepth * bits / 8; }
  int64_t codeBytes() const { return numPanels() * numTiles() * tileBytes(); }

  /// Bits of a code that lie together, the low ones.
  unsigned lowBits() const { return bits == 3 ? 2 : bits; }
  /// Offset in a tile of the plane of high bits.
  int64_t highPlane() const { return panelWidth * tileDepth * lowBits() / 8; }
  /// Words of 32 bits that a lane holds of a plane of `planeBits` per code.
  static int64_t wordsPerLane(unsigned planeBits) {
    return codesPerLane * planeBits / 32;
  }

  /// Where a plane has the code of lane (g, t) with numbers j, kk, r.
  struct Slot {
    int64_t word;
    unsigned bit;
  };
  Slot getSlot(int64_t j, int64_t kk, int64_t r, unsigned planeBits) const;
  /// Offset in a plane of word `word` of `lane`.
  static int64_t getWordOffset(int64_t lane, int64_t word, unsigned planeBits);

  /// A bit of the packed codes.
  struct Position {
    int64_t byte;
    unsigned bit;
  };
  /// Where the `lowBits()` low bits of the code of (channel, step) begin.
  Position getLowPosition(int64_t channel, int64_t step) const;
  /// Where the third bit lies; 3-bit codes only.
  Position getHighPosition(int64_t channel, int64_t step) const;

  /// Packs codes, one in each byte, [n, k], to `codeBytes()` bytes. What fills
  /// up is `fill`.
  void pack(llvm::ArrayRef<uint8_t> codes, uint8_t fill,
            llvm::MutableArrayRef<uint8_t> out) const;
  /// The inverse of `pack`.
  void unpack(llvm::ArrayRef<uint8_t> packed,
              llvm::MutableArrayRef<uint8_t> codes) const;

  /// Bytes of scales or zero points of `size` bytes each for `groups` groups.
  int64_t groupBytes(int64_t groups, int64_t size) const {
    return numPanels() * groups * panelWidth * size;
  }
  /// Packs scales or zero points [n, groups] of `size` bytes each to
  /// [panel][group][32]; what fills up is zero.
  void packGroups(llvm::ArrayRef<uint8_t> values, int64_t groups, int64_t size,
                  llvm::MutableArrayRef<uint8_t> out) const;
  /// The inverse of `packGroups`.
  void unpackGroups(llvm::ArrayRef<uint8_t> packed, int64_t groups,
                    int64_t size, llvm::MutableArrayRef<uint8_t> values) const;

private:
  Position getPosition(int64_t channel, int64_t step, unsigned planeBits,
                       int64_t plane) const;
};

} // namespace nibble::codegen::cuda

#endif // NIBBLE_CODEGEN_CUDA_WEIGHTLAYOUT_H
