//===- PackingTest.cpp - Codes as they lie in memory ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Packing.h"
#include "RandomWeights.h"

using namespace nibble::quantizer;
using namespace nibble::quantizer::test;
using Bytes = std::vector<uint8_t>;

namespace {

class PackingTest : public RandomTest {};

struct Shape {
  int64_t rows, cols;
};
constexpr Shape shapes[] = {{1, 1},   {3, 5},    {32, 8},   {31, 129},
                            {33, 64}, {70, 257}, {128, 17}, {200, 1000}};

TEST_F(PackingTest, RowsAreALittleEndianBitStream) {
  // As GPTQ packs words: the first code in the lowest bits.
  Bytes codes = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  Bytes out(5);
  packRows(codes, 1, 9, 4, /*twosComplement=*/false, out);
  EXPECT_EQ(out, (Bytes{0x21, 0x43, 0x65, 0x87, 0x09}));

  // Three bits cross bytes: 0b111'110'101'100'011'010'001'000.
  codes = {0, 1, 2, 3, 4, 5, 6, 7, 5};
  out.assign(4, 0xff);
  packRows(codes, 1, 9, 3, false, out);
  EXPECT_EQ(out, (Bytes{0x88, 0xc6, 0xfa, 0x05}));

  // A row starts at a byte.
  codes = {3, 2, 1, 3, 0, 1};
  out.assign(2, 0xff);
  packRows(codes, 2, 3, 2, false, out);
  EXPECT_EQ(out, (Bytes{0x1b, 0x13}));

  // Symmetric codes: 0, 8, 15 stand for -8, 0, 7.
  codes = {0, 8, 15, 7};
  packRows(codes, 1, 4, 4, /*twosComplement=*/true, out);
  EXPECT_EQ(out, (Bytes{0x08, 0xf7}));
}

TEST_F(PackingTest, RowsAgreeWithSingleBits) {
  for (Shape shape : shapes)
    for (unsigned bits = 2; bits <= 8; ++bits)
      for (bool twosComplement : {false, true}) {
        auto [rows, cols] = shape;
        Bytes codes = makeCodes(rows * cols, bits);
        int64_t rowBytes = getRowBytes(cols, bits);
        Bytes expected(rows * rowBytes);
        for (int64_t i = 0; i < rows * cols; ++i) {
          uint8_t code = codes[i] ^ (twosComplement ? 1 << (bits - 1) : 0);
          for (unsigned bit = 0; bit < bits; ++bit) {
            int64_t position = i % cols * bits + bit;
            if (code >> bit & 1)
              expected[i / cols * rowBytes + position / 8] |= 1
                                                              << (position % 8);
          }
        }
        Bytes packed(expected.size(), 0xa5);
        packRows(codes, rows, cols, bits, twosComplement, packed);
        ASSERT_EQ(packed, expected) << rows << "x" << cols << " " << bits;
        Bytes back(codes.size(), 0xa5);
        unpackRows(packed, rows, cols, bits, twosComplement, back);
        ASSERT_EQ(back, codes) << rows << "x" << cols << " " << bits;
      }
}

/// Code of channel `j` in the line of one k, by the layout's definition.
uint8_t readPanelCode(const uint8_t *line, unsigned bits, int j) {
  if (bits > 6)
    return line[j];
  auto readPair = [&](int from) {
    return line[from + j % 8] >> (j / 8 * 2) & 3;
  };
  auto readBit = [&](int from) { return line[from + j / 8] >> (j % 8) & 1; };
  if (bits < 4)
    return readPair(0) | (bits == 3 ? readBit(8) << 2 : 0);
  uint8_t nibble = line[j % 16] >> (j / 16 * 4) & 15;
  if (bits == 5)
    return nibble | readBit(16) << 4;
  return bits == 6 ? nibble | readPair(16) << 4 : nibble;
}

TEST_F(PackingTest, PanelsFollowTheLayout) {
  for (Shape shape : shapes)
    for (unsigned bits = 2; bits <= 8; ++bits) {
      auto [rows, cols] = shape;
      Bytes codes = makeCodes(rows * cols, bits);
      Bytes packed(getPanelBytes(rows, cols, bits), 0xa5);
      packPanels(codes, rows, cols, bits, packed);
      int64_t lineBytes = 4 * (bits == 7 ? 8 : bits);
      ASSERT_EQ(int64_t(packed.size()), (rows + 31) / 32 * cols * lineBytes);
      for (int64_t row = 0; row < (rows + 31) / 32 * 32; ++row)
        for (int64_t k = 0; k < cols; ++k) {
          const uint8_t *line =
              packed.data() + (row / 32 * cols + k) * lineBytes;
          uint8_t expected = row < rows ? codes[row * cols + k] : 0;
          ASSERT_EQ(readPanelCode(line, bits, row % 32), expected)
              << rows << "x" << cols << " " << bits << " bits, " << row << " "
              << k;
        }
      Bytes back(codes.size(), 0xa5);
      unpackPanels(packed, rows, cols, bits, back);
      ASSERT_EQ(back, codes);
    }
}

TEST_F(PackingTest, RowsToPanels) {
  for (Shape shape : shapes)
    for (unsigned bits = 2; bits <= 8; ++bits)
      for (bool twosComplement : {false, true}) {
        auto [rows, cols] = shape;
        Bytes codes = makeCodes(rows * cols, bits);
        Bytes packed(rows * getRowBytes(cols, bits));
        packRows(codes, rows, cols, bits, twosComplement, packed);
        Bytes expected(getPanelBytes(rows, cols, bits));
        packPanels(codes, rows, cols, bits, expected, 1);
        Bytes panels(expected.size(), 0xa5);
        packPanelsFromRows(packed, rows, cols, bits, twosComplement, panels, 3);
        ASSERT_EQ(panels, expected) << rows << "x" << cols << " " << bits;
      }
}

TEST_F(PackingTest, FloatPanels) {
  for (Shape shape : shapes) {
    auto [rows, cols] = shape;
    std::vector<float> values = makeNormal(rows * cols);
    for (bool transposed : {false, true}) {
      WeightView weight =
          transposed ? WeightView::transposed(getBytes(values), rows, cols)
                     : WeightView::rowMajor(getBytes(values), rows, cols);
      std::vector<float> panels(getPanelBytes(rows, cols, 32) / sizeof(float),
                                -1.0f);
      packFloatPanels(weight, panels, 2);
      for (int64_t row = 0; row < (rows + 31) / 32 * 32; ++row)
        for (int64_t k = 0; k < cols; ++k)
          ASSERT_EQ(panels[(row / 32 * cols + k) * 32 + row % 32],
                    row < rows ? weight.at(row, k) : 0.0f)
              << rows << "x" << cols << " " << row << " " << k;
    }
  }
}

TEST_F(PackingTest, ScalesOfAPanelLieSideBySide) {
  int64_t rows = 40, groups = 3;
  std::vector<float> scales = makeNormal(rows * groups);
  for (ScaleType type : {ScaleType::F16, ScaleType::BF16, ScaleType::F32}) {
    unsigned size = getScaleBits(type) / 8;
    Bytes encoded(scales.size() * size);
    encodeScales(scales, type, encoded);
    std::vector<float> decoded(scales.size());
    decodeScales(encoded, type, decoded);
    for (size_t i = 0; i < scales.size(); ++i)
      ASSERT_EQ(decoded[i], roundToScaleType(scales[i], type));

    Bytes panels(2 * groups * 32 * size, 0xa5);
    packGroupPanels(encoded, rows, groups, size, panels);
    std::vector<float> values(2 * groups * 32);
    decodeScales(panels, type, values);
    for (int64_t row = 0; row < 64; ++row)
      for (int64_t group = 0; group < groups; ++group)
        ASSERT_EQ(values[(row / 32 * groups + group) * 32 + row % 32],
                  row < rows ? decoded[row * groups + group] : 0.0f);
  }
}

} // namespace
