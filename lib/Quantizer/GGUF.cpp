//===- GGUF.cpp - The block types of GGUF files ---------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/GGUF.h"
#include "nibble/Support/Parallel.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"

using namespace nibble;
using namespace nibble::quantizer;
using llvm::ArrayRef;
using llvm::MutableArrayRef;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static constexpr GGUFTypeInfo types[] = {
    // type, name, number, bits, block, group, bytes, hasMinimum, zero
    {GGUFType::Q4_0, "Q4_0", 2, 4, 32, 32, 18, false, 8},
    {GGUFType::Q4_1, "Q4_1", 3, 4, 32, 32, 20, true, 0},
    {GGUFType::Q5_0, "Q5_0", 6, 5, 32, 32, 22, false, 16},
    {GGUFType::Q5_1, "Q5_1", 7, 5, 32, 32, 24, true, 0},
    {GGUFType::Q8_0, "Q8_0", 8, 8, 32, 32, 34, false, 128},
    {GGUFType::Q2_K, "Q2_K", 10, 2, 256, 16, 84, true, 0},
    {GGUFType::Q3_K, "Q3_K", 11, 3, 256, 16, 110, false, 4},
    {GGUFType::Q4_K, "Q4_K", 12, 4, 256, 32, 144, true, 0},
    {GGUFType::Q5_K, "Q5_K", 13, 5, 256, 32, 176, true, 0},
    {GGUFType::Q6_K, "Q6_K", 14, 6, 256, 16, 210, false, 32}};

ArrayRef<GGUFTypeInfo> quantizer::getGGUFTypes() { return types; }

const GGUFTypeInfo &quantizer::getInfo(GGUFType type) {
  return types[static_cast<size_t>(type)];
}

std::optional<GGUFType> quantizer::symbolizeGGUFType(llvm::StringRef name) {
  for (const GGUFTypeInfo &info : types)
    if (name.equals_insensitive(info.name))
      return info.type;
  return std::nullopt;
}

GGUFType quantizer::getTypeForRowsOf(GGUFType type, int64_t cols) {
  const GGUFTypeInfo &info = getInfo(type);
  if (!info.hasSuperBlocks() || cols % info.block == 0)
    return type;
  switch (type) {
  case GGUFType::Q6_K:
    return GGUFType::Q8_0;
  case GGUFType::Q5_K:
    return GGUFType::Q5_1;
  case GGUFType::Q4_K:
    return GGUFType::Q5_0;
  default:
    return GGUFType::Q4_0;
  }
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

GGUFWeight::GGUFWeight(GGUFType type, int64_t rows, int64_t cols)
    : type(type), rows(rows), cols(cols), codes(rows * cols) {
  const GGUFTypeInfo &info = getInfo(type);
  scales.resize(rows * getNumBlocks());
  if (info.hasMinimum)
    minimums.resize(scales.size());
  if (!info.hasSuperBlocks())
    return;
  subScales.resize(rows * getNumGroups());
  if (info.hasMinimum)
    subMinimums.resize(subScales.size());
}

int64_t GGUFWeight::getNumBlocks() const {
  return llvm::divideCeil(cols, getInfo(type).block);
}

int64_t GGUFWeight::getNumGroups() const {
  return llvm::divideCeil(cols, getInfo(type).group);
}

void quantizer::dequantize(const GGUFWeight &weight, MutableArrayRef<float> out,
                           unsigned threads) {
  const GGUFTypeInfo &info = getInfo(weight.type);
  int64_t numBlocks = weight.getNumBlocks(), numGroups = weight.getNumGroups();
  auto getProduct = [](ArrayRef<float> values, ArrayRef<int8_t> factors,
                       int64_t block, int64_t group) {
    return factors.empty() ? values[block] : values[block] * factors[group];
  };
  parallelFor(weight.rows, 64, threads, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      for (int64_t group = 0; group < numGroups; ++group) {
        int64_t col = group * info.group;
        int64_t end = std::min<int64_t>(weight.cols, col + info.group);
        int64_t block = row * numBlocks + col / info.block;
        int64_t at = row * numGroups + group;
        float scale = getProduct(weight.scales, weight.subScales, block, at);
        float minimum =
            info.hasMinimum
                ? getProduct(weight.minimums, weight.subMinimums, block, at)
                : 0;
        for (int64_t i = row * weight.cols + col; i < row * weight.cols + end;
             ++i) {
          float product = scale * (weight.codes[i] - info.zero);
          out[i] = info.hasMinimum ? product + minimum : product;
        }
      }
  });
}

//===----------------------------------------------------------------------===//
// Blocks as bytes
//===----------------------------------------------------------------------===//

namespace {
/// A field of a block. Codes are spread over planes of bits.
enum class Field : uint8_t {
  Scale,   ///< f16
  Minimum, ///< f16; what is subtracted in super-blocks.
  /// Low four bits, two to a byte: codes that are 16, 32 or 64 apart.
  Nibbles16,
  Nibbles32,
  Nibbles64,
  /// Two bits from bit 0 or 4 on: codes l, l + 32, l + 64, l + 96 of each 128.
  LowPairs,
  HighPairs,
  Bit4,     ///< Bit 4 of code j as bit j of a word of 32 bits.
  Bit2Lane, ///< Bit 2 of code j as bit j / 32 of byte j % 32.
  Bit4Lane, ///< The same with bit 4.
  Bytes,    ///< Codes of 8 bits less zero.
  /// Sub-scale | sub-minimum << 4.
  Sub4,
  /// 8 sub-scales and 8 sub-minimums of 6 bits in 12 bytes.
  SubPairs6,
  Sub6, ///< 16 sub-scales + 32, of 6 bits, in 12 bytes.
  Sub8  ///< 16 signed sub-scales.
};

struct Layout {
  Field fields[5];
  unsigned count;
};
} // namespace

static ArrayRef<Field> getLayout(GGUFType type) {
  using F = Field;
  static constexpr Layout layouts[] = {
      {{F::Scale, F::Nibbles16}, 2},                           // Q4_0
      {{F::Scale, F::Minimum, F::Nibbles16}, 3},               // Q4_1
      {{F::Scale, F::Bit4, F::Nibbles16}, 3},                  // Q5_0
      {{F::Scale, F::Minimum, F::Bit4, F::Nibbles16}, 4},      // Q5_1
      {{F::Scale, F::Bytes}, 2},                               // Q8_0
      {{F::Sub4, F::LowPairs, F::Scale, F::Minimum}, 4},       // Q2_K
      {{F::Bit2Lane, F::LowPairs, F::Sub6, F::Scale}, 4},      // Q3_K
      {{F::Scale, F::Minimum, F::SubPairs6, F::Nibbles32}, 4}, // Q4_K
      {{F::Scale, F::Minimum, F::SubPairs6, F::Bit4Lane, F::Nibbles32},
       5},                                                   // Q5_K
      {{F::Nibbles64, F::HighPairs, F::Sub8, F::Scale}, 4}}; // Q6_K
  const Layout &layout = layouts[static_cast<size_t>(type)];
  return {layout.fields, layout.count};
}

namespace {
/// Bits [shift, shift + width) of a code, or of another small number, lie at
/// bit `at` of `byte`.
struct Piece {
  unsigned index, shift, width, byte, at;
};
} // namespace

/// Calls `visit` for the pieces of the codes that a field holds, and returns
/// its bytes; 0 for a field of something else.
template <typename Visit>
static unsigned visitCodePieces(Field field, Visit visit) {
  auto visitNibbles = [&](unsigned count, unsigned distance) {
    for (unsigned j = 0; j < count; ++j) {
      unsigned in = j % (2 * distance), block = j / (2 * distance);
      visit(
          Piece{j, 0, 4, block * distance + in % distance, in / distance * 4});
    }
    return count / 2;
  };
  auto visitPairs = [&](unsigned shift) {
    for (unsigned j = 0; j < 256; ++j)
      visit(Piece{j, shift, 2, j / 128 * 32 + j % 32, j % 128 / 32 * 2});
    return 64u;
  };
  auto visitLanes = [&](unsigned shift) {
    for (unsigned j = 0; j < 256; ++j)
      visit(Piece{j, shift, 1, j % 32, j / 32});
    return 32u;
  };
  switch (field) {
  case Field::Nibbles16:
    return visitNibbles(32, 16);
  case Field::Nibbles32:
    return visitNibbles(256, 32);
  case Field::Nibbles64:
    return visitNibbles(256, 64);
  case Field::LowPairs:
    return visitPairs(0);
  case Field::HighPairs:
    return visitPairs(4);
  case Field::Bit2Lane:
    return visitLanes(2);
  case Field::Bit4Lane:
    return visitLanes(4);
  case Field::Bit4:
    for (unsigned j = 0; j < 32; ++j)
      visit(Piece{j, 4, 1, j / 8, j % 8});
    return 4;
  case Field::Bytes:
    for (unsigned j = 0; j < 32; ++j)
      visit(Piece{j, 0, 8, j, 0});
    return 32;
  default:
    return 0;
  }
}

/// The same for sub-scales (index 0 on) and sub-minimums (16 on).
template <typename Visit>
static unsigned visitSubPieces(Field field, Visit visit) {
  constexpr unsigned minimum = 16;
  switch (field) {
  case Field::Sub4:
    for (unsigned j = 0; j < 16; ++j) {
      visit(Piece{j, 0, 4, j, 0});
      visit(Piece{minimum + j, 0, 4, j, 4});
    }
    return 16;
  case Field::SubPairs6:
    for (unsigned j = 0; j < 4; ++j) {
      // The first four of each lie whole in bytes 0 to 7; the high bits of the
      // others are above them.
      visit(Piece{j, 0, 6, j, 0});
      visit(Piece{minimum + j, 0, 6, 4 + j, 0});
      visit(Piece{4 + j, 0, 4, 8 + j, 0});
      visit(Piece{minimum + 4 + j, 0, 4, 8 + j, 4});
      visit(Piece{4 + j, 4, 2, j, 6});
      visit(Piece{minimum + 4 + j, 4, 2, 4 + j, 6});
    }
    return 12;
  case Field::Sub6:
    for (unsigned j = 0; j < 16; ++j) {
      visit(Piece{j, 0, 4, j % 8, j / 8 * 4});
      visit(Piece{j, 4, 2, 8 + j % 4, j / 4 * 2});
    }
    return 12;
  case Field::Sub8:
    for (unsigned j = 0; j < 16; ++j)
      visit(Piece{j, 0, 8, j, 0});
    return 16;
  default:
    return 0;
  }
}

/// What is added to a field's numbers so that they are not negative. Codes of 8
/// bits and sub-scales of 8 bits are two's complement.
static int getBias(Field field) {
  return field == Field::Sub6 ? 32 : field == Field::Bytes ? -128 : 0;
}

static unsigned getMask(unsigned width) { return (1u << width) - 1; }

int64_t quantizer::getGGUFRowBytes(GGUFType type, int64_t cols) {
  const GGUFTypeInfo &info = getInfo(type);
  assert(cols % info.block == 0 && "whole blocks");
  return cols / info.block * info.bytes;
}

/// Calls `transfer(block, field, bytes)` for each field of each block, which
/// returns the bytes of the field.
template <typename Byte, typename Transfer>
static void forEachField(const GGUFWeight &weight, Byte *bytes,
                         Transfer transfer) {
  ArrayRef<Field> fields = getLayout(weight.type);
  for (size_t block = 0; block < weight.scales.size(); ++block)
    for (Field field : fields)
      bytes += transfer(block, field, bytes);
}

void quantizer::packGGUF(const GGUFWeight &weight,
                         MutableArrayRef<uint8_t> out) {
  const GGUFTypeInfo &info = getInfo(weight.type);
  assert(out.size() ==
         size_t(weight.rows * getGGUFRowBytes(weight.type, weight.cols)));
  unsigned numGroups = info.block / info.group;
  llvm::fill(out, 0);
  forEachField(
      weight, out.data(), [&](size_t block, Field field, uint8_t *bytes) {
        if (field == Field::Scale || field == Field::Minimum) {
          float value = field == Field::Scale   ? weight.scales[block]
                        : info.hasSuperBlocks() ? -weight.minimums[block]
                                                : weight.minimums[block];
          llvm::support::endian::write16le(bytes, floatToHalf(value));
          return 2u;
        }
        int bias = getBias(field);
        auto put = [&](const Piece &piece, int value) {
          unsigned part = (value + bias) >> piece.shift & getMask(piece.width);
          bytes[piece.byte] |= part << piece.at;
        };
        unsigned size = visitCodePieces(field, [&](const Piece &piece) {
          put(piece, weight.codes[block * info.block + piece.index]);
        });
        return size ? size : visitSubPieces(field, [&](const Piece &piece) {
          put(piece,
              piece.index < 16
                  ? weight.subScales[block * numGroups + piece.index]
                  : weight.subMinimums[block * numGroups + piece.index - 16]);
        });
      });
}

GGUFWeight quantizer::unpackGGUF(GGUFType type, int64_t rows, int64_t cols,
                                 ArrayRef<uint8_t> bytes) {
  const GGUFTypeInfo &info = getInfo(type);
  assert(bytes.size() == size_t(rows * getGGUFRowBytes(type, cols)));
  GGUFWeight weight(type, rows, cols);
  unsigned numGroups = info.block / info.group;
  forEachField(
      weight, bytes.data(), [&](size_t block, Field field, const uint8_t *at) {
        if (field == Field::Scale || field == Field::Minimum) {
          float value = halfToFloat(llvm::support::endian::read16le(at));
          if (field == Field::Scale)
            weight.scales[block] = value;
          else
            weight.minimums[block] = info.hasSuperBlocks() ? -value : value;
          return 2u;
        }
        auto get = [&](const Piece &piece) {
          return (at[piece.byte] >> piece.at & getMask(piece.width))
                 << piece.shift;
        };
        int bias = getBias(field);
        unsigned size = visitCodePieces(field, [&](const Piece &piece) {
          weight.codes[block * info.block + piece.index] += get(piece) - bias;
        });
        return size ? size : visitSubPieces(field, [&](const Piece &piece) {
          int8_t &value =
              piece.index < 16
                  ? weight.subScales[block * numGroups + piece.index]
                  : weight.subMinimums[block * numGroups + piece.index - 16];
          // The bias once, with the first piece.
          value += get(piece) - (piece.shift == 0 ? bias : 0);
        });
      });
  return weight;
}
