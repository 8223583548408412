//===- Packing.cpp - Codes as they lie in memory --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Packing.h"
#include "nibble/Support/Parallel.h"
#include "llvm/Support/Endian.h"
#include <algorithm>

using namespace nibble;
using namespace nibble::quantizer;
using llvm::ArrayRef;
using llvm::MutableArrayRef;

/// Calls `body` with the number of bits as a constant: shifts and loop bounds
/// are then known, which is most of the speed.
template <typename Body>
static void withBits(unsigned bits, Body body) {
  switch (bits) {
  case 2:
    return body(std::integral_constant<unsigned, 2>());
  case 3:
    return body(std::integral_constant<unsigned, 3>());
  case 4:
    return body(std::integral_constant<unsigned, 4>());
  case 5:
    return body(std::integral_constant<unsigned, 5>());
  case 6:
    return body(std::integral_constant<unsigned, 6>());
  case 7:
    return body(std::integral_constant<unsigned, 7>());
  case 8:
    return body(std::integral_constant<unsigned, 8>());
  }
  llvm_unreachable("codes have 2 to 8 bits");
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

int64_t quantizer::getRowBytes(int64_t cols, unsigned bits) {
  return (cols * bits + 7) / 8;
}

/// Eight codes make `Bits` bytes, whatever the number of bits. `flip` turns an
/// unsigned code to two's complement or back.
template <unsigned Bits>
static void packRow(const uint8_t *codes, int64_t cols, uint8_t flip,
                    uint8_t *out) {
  auto packBlock = [flip](const uint8_t *block, int64_t count, uint8_t *bytes,
                          int64_t numBytes) {
    uint64_t word = 0;
    for (int64_t i = 0; i < count; ++i)
      word |= uint64_t(block[i] ^ flip) << (i * Bits);
    for (int64_t i = 0; i < numBytes; ++i)
      bytes[i] = word >> (8 * i);
  };
  int64_t col = 0;
  for (; col + 8 <= cols; col += 8, out += Bits)
    packBlock(codes + col, 8, out, Bits);
  if (col < cols)
    packBlock(codes + col, cols - col, out, getRowBytes(cols - col, Bits));
}

template <unsigned Bits>
static void unpackRow(const uint8_t *packed, int64_t cols, uint8_t flip,
                      uint8_t *codes) {
  constexpr uint8_t mask = (1u << Bits) - 1;
  auto unpackBlock = [flip](const uint8_t *bytes, int64_t numBytes,
                            uint8_t *block, int64_t count) {
    uint64_t word = 0;
    for (int64_t i = 0; i < numBytes; ++i)
      word |= uint64_t(bytes[i]) << (8 * i);
    for (int64_t i = 0; i < count; ++i)
      block[i] = ((word >> (i * Bits)) & mask) ^ flip;
  };
  int64_t col = 0;
  for (; col + 8 <= cols; col += 8, packed += Bits)
    unpackBlock(packed, Bits, codes + col, 8);
  if (col < cols)
    unpackBlock(packed, getRowBytes(cols - col, Bits), codes + col, cols - col);
}

static uint8_t getFlip(unsigned bits, bool twosComplement) {
  return twosComplement ? 1u << (bits - 1) : 0;
}

void quantizer::packRows(ArrayRef<uint8_t> codes, int64_t rows, int64_t cols,
                         unsigned bits, bool twosComplement,
                         MutableArrayRef<uint8_t> out, unsigned threads) {
  int64_t rowBytes = getRowBytes(cols, bits);
  assert(codes.size() == size_t(rows * cols) && "one byte per code");
  assert(out.size() == size_t(rows * rowBytes) && "whole rows");
  uint8_t flip = getFlip(bits, twosComplement);
  withBits(bits, [&](auto constant) {
    parallelFor(rows, 64, threads, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row)
        packRow<constant.value>(codes.data() + row * cols, cols, flip,
                                out.data() + row * rowBytes);
    });
  });
}

void quantizer::unpackRows(ArrayRef<uint8_t> packed, int64_t rows, int64_t cols,
                           unsigned bits, bool twosComplement,
                           MutableArrayRef<uint8_t> codes, unsigned threads) {
  int64_t rowBytes = getRowBytes(cols, bits);
  assert(codes.size() == size_t(rows * cols) && "one byte per code");
  assert(packed.size() == size_t(rows * rowBytes) && "whole rows");
  uint8_t flip = getFlip(bits, twosComplement);
  withBits(bits, [&](auto constant) {
    parallelFor(rows, 64, threads, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row)
        unpackRow<constant.value>(packed.data() + row * rowBytes, cols, flip,
                                  codes.data() + row * cols);
    });
  });
}

//===----------------------------------------------------------------------===//
// Panels
//===----------------------------------------------------------------------===//

unsigned quantizer::getPanelBits(unsigned bits) { return bits == 7 ? 8 : bits; }

int64_t quantizer::getPanelBytes(int64_t rows, int64_t cols, unsigned bits) {
  return getNumPanels(rows) * cols * (panelRows / 8) * getPanelBits(bits);
}

/// Two bits of each of 32 codes, from bit `Shift` on, in 8 bytes.
template <unsigned Shift>
static void packPairs(const uint8_t *c, uint8_t *out) {
  for (int j = 0; j < 8; ++j)
    for (int part = 0; part < 4; ++part)
      out[j] |= (c[j + 8 * part] >> Shift & 3) << 2 * part;
}

template <unsigned Shift>
static void unpackPairs(const uint8_t *in, uint8_t *c) {
  for (int j = 0; j < panelRows; ++j)
    c[j] |= (in[j % 8] >> (j / 8 * 2) & 3) << Shift;
}

/// Bit `Shift` of each of 32 codes in a word.
template <unsigned Shift>
static void packWord(const uint8_t *c, uint8_t *out) {
  uint32_t word = 0;
  for (int j = 0; j < panelRows; ++j)
    word |= uint32_t(c[j] >> Shift & 1) << j;
  llvm::support::endian::write32le(out, word);
}

template <unsigned Shift>
static void unpackWord(const uint8_t *in, uint8_t *c) {
  uint32_t word = llvm::support::endian::read32le(in);
  for (int j = 0; j < panelRows; ++j)
    c[j] |= (word >> j & 1) << Shift;
}

/// The 32 codes of one k.
template <unsigned Bits>
static void packLine(const uint8_t *c, uint8_t *out) {
  if constexpr (Bits > 6) {
    std::memcpy(out, c, panelRows);
  } else if constexpr (Bits >= 4) {
    for (int j = 0; j < 16; ++j)
      out[j] = (c[j] & 15) | c[j + 16] << 4;
    if constexpr (Bits == 5)
      packWord<4>(c, out + 16);
    if constexpr (Bits == 6) {
      std::memset(out + 16, 0, 8);
      packPairs<4>(c, out + 16);
    }
  } else {
    std::memset(out, 0, 8);
    packPairs<0>(c, out);
    if constexpr (Bits == 3)
      packWord<2>(c, out + 8);
  }
}

template <unsigned Bits>
static void unpackLine(const uint8_t *in, uint8_t *c) {
  if constexpr (Bits > 6) {
    std::memcpy(c, in, panelRows);
  } else if constexpr (Bits >= 4) {
    for (int j = 0; j < 16; ++j) {
      c[j] = in[j] & 15;
      c[j + 16] = in[j] >> 4;
    }
    if constexpr (Bits == 5)
      unpackWord<4>(in + 16, c);
    if constexpr (Bits == 6)
      unpackPairs<4>(in + 16, c);
  } else {
    std::memset(c, 0, panelRows);
    unpackPairs<0>(in, c);
    if constexpr (Bits == 3)
      unpackWord<2>(in + 8, c);
  }
}

template <unsigned Bits>
static constexpr int64_t getLineBytes() {
  return panelRows / 8 * (Bits > 6 ? 8 : Bits);
}

/// Packs `count` rows of codes to one panel.
template <unsigned Bits>
static void packPanel(const uint8_t *codes, int64_t count, int64_t cols,
                      uint8_t *out) {
  // Transposed in pieces that stay in the nearest cache.
  constexpr int64_t piece = 128;
  uint8_t lines[piece * panelRows] = {};
  for (int64_t col = 0; col < cols; col += piece) {
    int64_t length = std::min(piece, cols - col);
    for (int64_t row = 0; row < count; ++row)
      for (int64_t k = 0; k < length; ++k)
        lines[k * panelRows + row] = codes[row * cols + col + k];
    for (int64_t k = 0; k < length; ++k, out += getLineBytes<Bits>())
      packLine<Bits>(lines + k * panelRows, out);
  }
}

void quantizer::packPanels(ArrayRef<uint8_t> codes, int64_t rows, int64_t cols,
                           unsigned bits, MutableArrayRef<uint8_t> out,
                           unsigned threads) {
  assert(codes.size() == size_t(rows * cols) && "one byte per code");
  assert(out.size() == size_t(getPanelBytes(rows, cols, bits)) &&
         "whole panels");
  withBits(bits, [&](auto constant) {
    constexpr unsigned b = constant.value;
    parallelFor(getNumPanels(rows), 1, threads, [&](int64_t panel, int64_t) {
      int64_t row = panel * panelRows;
      packPanel<b>(codes.data() + row * cols, std::min(panelRows, rows - row),
                   cols, out.data() + panel * cols * getLineBytes<b>());
    });
  });
}

void quantizer::packPanelsFromRows(ArrayRef<uint8_t> packed, int64_t rows,
                                   int64_t cols, unsigned bits,
                                   bool twosComplement,
                                   MutableArrayRef<uint8_t> out,
                                   unsigned threads) {
  int64_t rowBytes = getRowBytes(cols, bits);
  assert(packed.size() == size_t(rows * rowBytes) && "whole rows");
  assert(out.size() == size_t(getPanelBytes(rows, cols, bits)) &&
         "whole panels");
  uint8_t flip = getFlip(bits, twosComplement);
  withBits(bits, [&](auto constant) {
    constexpr unsigned b = constant.value;
    parallelFor(getNumPanels(rows), 1, threads, [&](int64_t panel, int64_t) {
      int64_t first = panel * panelRows;
      int64_t count = std::min(panelRows, rows - first);
      std::vector<uint8_t> codes(count * cols);
      for (int64_t row = 0; row < count; ++row)
        unpackRow<b>(packed.data() + (first + row) * rowBytes, cols, flip,
                     codes.data() + row * cols);
      packPanel<b>(codes.data(), count, cols,
                   out.data() + panel * cols * getLineBytes<b>());
    });
  });
}

void quantizer::unpackPanels(ArrayRef<uint8_t> packed, int64_t rows,
                             int64_t cols, unsigned bits,
                             MutableArrayRef<uint8_t> codes, unsigned threads) {
  assert(codes.size() == size_t(rows * cols) && "one byte per code");
  assert(packed.size() == size_t(getPanelBytes(rows, cols, bits)) &&
         "whole panels");
  withBits(bits, [&](auto constant) {
    constexpr unsigned b = constant.value;
    parallelFor(getNumPanels(rows), 1, threads, [&](int64_t panel, int64_t) {
      const uint8_t *in = packed.data() + panel * cols * getLineBytes<b>();
      int64_t first = panel * panelRows;
      int64_t count = std::min(panelRows, rows - first);
      uint8_t line[panelRows];
      for (int64_t k = 0; k < cols; ++k, in += getLineBytes<b>()) {
        unpackLine<b>(in, line);
        for (int64_t row = 0; row < count; ++row)
          codes[(first + row) * cols + k] = line[row];
      }
    });
  });
}

void quantizer::packFloatPanels(const WeightView &weight,
                                MutableArrayRef<float> out, unsigned threads) {
  int64_t cols = weight.cols;
  assert(out.size() == size_t(getNumPanels(weight.rows) * cols * panelRows) &&
         "whole panels");
  // A panel is its part of the weight with rows and columns exchanged.
  WeightView exchanged = {weight.data, cols, weight.rows, weight.colStride,
                          weight.rowStride};
  parallelFor(getNumPanels(weight.rows), 1, threads,
              [&](int64_t panel, int64_t) {
                float *lines = out.data() + panel * cols * panelRows;
                int64_t first = panel * panelRows;
                int64_t count = std::min(panelRows, weight.rows - first);
                if (count == panelRows) {
                  copyTile(exchanged, 0, cols, first, panelRows, lines);
                  return;
                }
                for (int64_t k = 0; k < cols; ++k, lines += panelRows) {
                  copyTile(exchanged, k, 1, first, count, lines);
                  std::fill(lines + count, lines + panelRows, 0.0f);
                }
              });
}

void quantizer::packGroupPanels(ArrayRef<uint8_t> values, int64_t rows,
                                int64_t groups, unsigned elementBytes,
                                MutableArrayRef<uint8_t> out) {
  assert(values.size() == size_t(rows * groups * elementBytes) &&
         "one element per row and group");
  assert(out.size() ==
             size_t(getNumPanels(rows) * groups * panelRows * elementBytes) &&
         "whole panels");
  std::fill(out.begin(), out.end(), 0);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t group = 0; group < groups; ++group) {
      int64_t line = row / panelRows * groups + group;
      std::memcpy(
          out.data() + (line * panelRows + row % panelRows) * elementBytes,
          values.data() + (row * groups + group) * elementBytes, elementBytes);
    }
}

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

void quantizer::encodeScales(ArrayRef<float> scales, ScaleType type,
                             MutableArrayRef<uint8_t> out) {
  assert(out.size() == scales.size() * getScaleBits(type) / 8 &&
         "one element per scale");
  for (size_t i = 0; i < scales.size(); ++i) {
    if (type == ScaleType::F32)
      llvm::support::endian::write32le(out.data() + 4 * i,
                                       llvm::bit_cast<uint32_t>(scales[i]));
    else
      llvm::support::endian::write16le(out.data() + 2 * i,
                                       type == ScaleType::F16
                                           ? floatToHalf(scales[i])
                                           : floatToBFloat16(scales[i]));
  }
}

void quantizer::decodeScales(ArrayRef<uint8_t> bytes, ScaleType type,
                             MutableArrayRef<float> scales) {
  assert(bytes.size() == scales.size() * getScaleBits(type) / 8 &&
         "one element per scale");
  for (size_t i = 0; i < scales.size(); ++i) {
    if (type == ScaleType::F32) {
      uint32_t bits = llvm::support::endian::read32le(bytes.data() + 4 * i);
      scales[i] = llvm::bit_cast<float>(bits);
      continue;
    }
    uint16_t bits = llvm::support::endian::read16le(bytes.data() + 2 * i);
    scales[i] =
        type == ScaleType::F16 ? halfToFloat(bits) : bfloat16ToFloat(bits);
  }
}
