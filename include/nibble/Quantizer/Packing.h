//===- Packing.h - Codes as they lie in memory ------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_PACKING_H
#define NIBBLE_QUANTIZER_PACKING_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

//===----------------------------------------------------------------------===//
// Rows: the canonical order
//===----------------------------------------------------------------------===//
// Each row is a bit stream of ceil(cols * bits / 8) bytes that starts at a
// byte; the first code has the lowest bits, and the bits after the last code
// are zero.

/// Bytes of one row.
int64_t getRowBytes(int64_t cols, unsigned bits);

/// Packs unsigned `codes` [rows, cols], one per byte, to `out`
/// [rows, getRowBytes]. With `twosComplement`, code c is stored as the low bits
/// of c - 2^(b-1), which is how symmetric schemes store it.
void packRows(llvm::ArrayRef<uint8_t> codes, int64_t rows, int64_t cols,
              unsigned bits, bool twosComplement,
              llvm::MutableArrayRef<uint8_t> out, unsigned threads = 0);

/// The inverse of `packRows`.
void unpackRows(llvm::ArrayRef<uint8_t> packed, int64_t rows, int64_t cols,
                unsigned bits, bool twosComplement,
                llvm::MutableArrayRef<uint8_t> codes, unsigned threads = 0);

//===----------------------------------------------------------------------===//
// Panels: the order in which CPU kernels read
//===----------------------------------------------------------------------===//
// Rows are cut in panels of 32, the last filled with zeros. In a panel k (the
// column) runs outermost; for each k lie the 32 unsigned codes c of the panel:
//
//   8 bits  32 bytes  byte j = c[j]                (also for 7 bits)
//   4 bits  16 bytes  byte j = c[j] | c[j+16] << 4
//   2 bits   8 bytes  byte j = c[j] | c[j+8] << 2 | c[j+16] << 4 | c[j+24] << 6
//   3 bits  12 bytes  the low two bits as above, then the high bits as one
//                     little-endian 32-bit word, bit j for c[j]
//   5 bits  20 bytes  the low four bits as for 4 bits, then the high bits as for
//                     3 bits
//   6 bits  24 bytes  the low four bits, then the high two as for 2 bits
//   float  128 bytes  32 floats

/// Rows of a panel.
inline constexpr int64_t panelRows = 32;

/// Number of panels of `rows` rows.
inline int64_t getNumPanels(int64_t rows) {
  return (rows + panelRows - 1) / panelRows;
}

/// Bits that a code takes in a panel: `bits`, or 8 for 7.
unsigned getPanelBits(unsigned bits);

/// Bytes of all panels; `bits` = 32 for float weights.
int64_t getPanelBytes(int64_t rows, int64_t cols, unsigned bits);

/// Packs unsigned `codes` [rows, cols], one per byte, to `out` [getPanelBytes].
void packPanels(llvm::ArrayRef<uint8_t> codes, int64_t rows, int64_t cols,
                unsigned bits, llvm::MutableArrayRef<uint8_t> out,
                unsigned threads = 0);

/// The inverse of `packPanels`.
void unpackPanels(llvm::ArrayRef<uint8_t> packed, int64_t rows, int64_t cols,
                  unsigned bits, llvm::MutableArrayRef<uint8_t> codes,
                  unsigned threads = 0);

/// Repacks a weight in `rows` order to panels, without unpacking more than one
/// panel per thread.
void packPanelsFromRows(llvm::ArrayRef<uint8_t> packed, int64_t rows,
                        int64_t cols, unsigned bits, bool twosComplement,
                        llvm::MutableArrayRef<uint8_t> out,
                        unsigned threads = 0);

/// Packs a float weight to `out` [panels, cols, 32].
void packFloatPanels(const WeightView &weight, llvm::MutableArrayRef<float> out,
                     unsigned threads = 0);

/// Packs scales or zeros [rows, groups], elements of `elementBytes`, to
/// [panels, groups, 32]; `out` has getNumPanels * groups * 32 elements.
void packGroupPanels(llvm::ArrayRef<uint8_t> values, int64_t rows,
                     int64_t groups, unsigned elementBytes,
                     llvm::MutableArrayRef<uint8_t> out);

/// An 8-bit weight for integer kernels, as `groups` * `rows` rows of `channels`
/// by `taps` codes; strides in codes.
struct IntegerWeightView {
  const char *data = nullptr;
  bool isUnsigned = false;
  int64_t groups = 1, rows = 0, channels = 0, taps = 1;
  int64_t rowStride = 0, channelStride = 0;
};

/// Packs `weight` to `out` [panels][quads][32][4], signed: a quad is four
/// channels of one tap, in the order [channels / 4][taps], and each group
/// starts a panel. What does not exist is zero.
void packIntegerPanels(const IntegerWeightView &weight, int64_t quads,
                       llvm::MutableArrayRef<uint8_t> out,
                       unsigned threads = 0);

/// The sums of (code - zero) over each of the groups * rows rows, modulo 2^32.
/// `zeros` is empty, or has one element or one for each row, signed or unsigned
/// as the weight.
void sumIntegerRows(const IntegerWeightView &weight,
                    llvm::ArrayRef<uint8_t> zeros,
                    llvm::MutableArrayRef<int32_t> sums, unsigned threads = 0);

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

/// Writes `scales` as elements of the scale type, little-endian.
void encodeScales(llvm::ArrayRef<float> scales, ScaleType type,
                  llvm::MutableArrayRef<uint8_t> out);
/// The inverse of `encodeScales`.
void decodeScales(llvm::ArrayRef<uint8_t> bytes, ScaleType type,
                  llvm::MutableArrayRef<float> scales);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_PACKING_H
