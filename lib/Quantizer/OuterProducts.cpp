//===- OuterProducts.cpp - X^T X ------------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With AMX, each float is split in two bf16 parts of 8 bits each, x = high +
// low: of the four products of parts, all but low * low are summed, in f32.
// Tiles of the processor hold 16 columns of X: as left factor a tile has a line
// of 32 rows of X for each column, as right factor a line of 16 columns for
// each pair of rows, and the one is the transpose of the other.
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/DenseMath.h"
#include "nibble/Support/Parallel.h"
#include <algorithm>
#include <memory>
#include <vector>
#if defined(__x86_64__)
#include "nibble/Runtime/ModelDescriptor.h"
#include <immintrin.h>
#endif

using namespace nibble;
using namespace nibble::quantizer;

#if defined(__x86_64__)
#define NIBBLE_TARGET_AMX                                                      \
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,"      \
                "amx-bf16")]]

namespace {

/// Columns of X in a tile, and rows.
constexpr int64_t tileColumns = 16, tileRows = 32;
/// Columns along each side of what is summed in registers: two by two tiles.
constexpr int64_t blockColumns = 2 * tileColumns;
/// Blocks along each side of one piece of work. Their parts, and those of what
/// they meet, fit into the second-level cache together.
constexpr int64_t pieceBlocks = 6;
/// Rows of X that are split at a time.
constexpr int64_t chunkRows = 256, chunkTiles = chunkRows / tileRows;
constexpr int64_t numParts = 2;

/// A row of a tile.
struct alignas(64) Line {
  uint32_t pairs[tileColumns];
};
constexpr int64_t linesOfTile = tileRows / 2;
/// Of two tiles in two parts.
constexpr int64_t linesOfStep = 2 * numParts * linesOfTile;
constexpr int64_t linesOfBlock = chunkTiles * linesOfStep;

/// Some rows of X in two parts: [block of columns][tile of rows][tile of the
/// block][part][line], in the order in which they are read.
class SplitRows {
public:
  explicit SplitRows(int64_t columns)
      : numBlocks((columns + blockColumns - 1) / blockColumns),
        left(new Line[numBlocks * linesOfBlock]),
        right(new Line[numBlocks * linesOfBlock]) {}

  int64_t getNumBlocks() const { return numBlocks; }
  /// Splits the tile of rows `index`. Rows behind the last are zero.
  NIBBLE_TARGET_AMX void split(MatrixRef<const float> rows, int64_t index);
  /// sums [32][32] = products of all rows for two blocks of columns.
  NIBBLE_TARGET_AMX void multiply(int64_t rowBlock, int64_t columnBlock,
                                  int64_t numRowTiles, float *sums) const;

private:
  int64_t numBlocks;
  std::unique_ptr<Line[]> left, right;
};

} // namespace

/// The matrix of 32-bit elements becomes its transpose.
NIBBLE_TARGET_AMX [[gnu::always_inline]] static inline void
transpose(__m512i (&rows)[16]) {
  __m512i pairs[16], quads[16];
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      quads[i + 2 * j] = _mm512_unpacklo_epi64(pairs[i + j], pairs[i + 2 + j]);
      quads[i + 2 * j + 1] =
          _mm512_unpackhi_epi64(pairs[i + j], pairs[i + 2 + j]);
    }
  // quads[i + j] has of rows i to i + 3 the columns j, 4 + j, 8 + j, 12 + j.
  for (int j = 0; j < 4; ++j) {
    __m512i even0 = _mm512_shuffle_i32x4(quads[j], quads[4 + j], 0x88);
    __m512i even1 = _mm512_shuffle_i32x4(quads[8 + j], quads[12 + j], 0x88);
    __m512i odd0 = _mm512_shuffle_i32x4(quads[j], quads[4 + j], 0xdd);
    __m512i odd1 = _mm512_shuffle_i32x4(quads[8 + j], quads[12 + j], 0xdd);
    rows[j] = _mm512_shuffle_i32x4(even0, even1, 0x88);
    rows[8 + j] = _mm512_shuffle_i32x4(even0, even1, 0xdd);
    rows[4 + j] = _mm512_shuffle_i32x4(odd0, odd1, 0x88);
    rows[12 + j] = _mm512_shuffle_i32x4(odd0, odd1, 0xdd);
  }
}

/// Takes the upper part of each float off: its bits, in the lower half.
NIBBLE_TARGET_AMX [[gnu::always_inline]] static inline __m512i
takePart(__m512 &values) {
  __m512i part = _mm512_cvtepu16_epi32(
      reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)));
  values =
      _mm512_sub_ps(values, _mm512_castsi512_ps(_mm512_slli_epi32(part, 16)));
  return part;
}

/// 16 columns of a row, zero if the row is behind the last.
NIBBLE_TARGET_AMX [[gnu::always_inline]] static inline __m512
loadColumns(MatrixRef<const float> rows, int64_t row, int64_t column,
            __mmask16 mask) {
  return row < rows.rows ? _mm512_maskz_loadu_ps(mask, &rows.at(row, column))
                         : _mm512_setzero_ps();
}

void SplitRows::split(MatrixRef<const float> rows, int64_t index) {
  for (int64_t tile = 0; tile < 2 * numBlocks; ++tile) {
    int64_t column = tile * tileColumns;
    int64_t count = std::clamp<int64_t>(rows.cols - column, 0, tileColumns);
    auto mask = static_cast<__mmask16>((1u << count) - 1);
    __m512i parts[numParts][linesOfTile];
    for (int64_t pair = 0; pair < linesOfTile; ++pair) {
      int64_t row = index * tileRows + 2 * pair;
      __m512 even = loadColumns(rows, row, column, mask);
      __m512 odd = loadColumns(rows, row + 1, column, mask);
      for (int64_t part = 0; part < numParts; ++part) {
        __m512i lower = takePart(even), upper = takePart(odd);
        parts[part][pair] =
            _mm512_or_si512(lower, _mm512_slli_epi32(upper, 16));
      }
    }
    for (int64_t part = 0; part < numParts; ++part) {
      int64_t at = tile / 2 * linesOfBlock + index * linesOfStep +
                   (tile % 2 * numParts + part) * linesOfTile;
      for (int64_t i = 0; i < linesOfTile; ++i)
        _mm512_store_si512(right[at + i].pairs, parts[part][i]);
      transpose(parts[part]);
      for (int64_t i = 0; i < linesOfTile; ++i)
        _mm512_store_si512(left[at + i].pairs, parts[part][i]);
    }
  }
}

void SplitRows::multiply(int64_t rowBlock, int64_t columnBlock,
                         int64_t numRowTiles, float *sums) const {
  const Line *a = left.get() + rowBlock * linesOfBlock;
  const Line *b = right.get() + columnBlock * linesOfBlock;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t i = 0; i < numRowTiles;
       ++i, a += linesOfStep, b += linesOfStep) {
    // Of the first tile and the second: high part, low part.
    const Line *a0 = a, *a1 = a + 2 * linesOfTile;
    const Line *b0 = b, *b1 = b + 2 * linesOfTile;
    // Small products first: low * high, high * high, high * low.
    _tile_loadd(4, a0 + linesOfTile, sizeof(Line));
    _tile_loadd(5, a1 + linesOfTile, sizeof(Line));
    _tile_loadd(6, b0, sizeof(Line));
    _tile_loadd(7, b1, sizeof(Line));
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    _tile_loadd(4, a0, sizeof(Line));
    _tile_loadd(5, a1, sizeof(Line));
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    _tile_loadd(6, b0 + linesOfTile, sizeof(Line));
    _tile_loadd(7, b1 + linesOfTile, sizeof(Line));
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  constexpr int64_t stride = blockColumns * sizeof(float);
  _tile_stored(0, sums, stride);
  _tile_stored(1, sums + tileColumns, stride);
  _tile_stored(2, sums + tileColumns * blockColumns, stride);
  _tile_stored(3, sums + tileColumns * blockColumns + tileColumns, stride);
}

/// Adds the blocks of one piece of work that do not lie below the diagonal.
NIBBLE_TARGET_AMX static void addPiece(const SplitRows &split, int64_t firstRow,
                                       int64_t firstColumn, int64_t numRowTiles,
                                       MatrixRef<float> hessian) {
  // Intel's Software Developer's Manual, volume 1, "Tile configuration".
  struct alignas(64) {
    uint8_t palette = 1, startRow = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  _tile_loadconfig(&config);
  alignas(64) float sums[blockColumns * blockColumns];
  int64_t lastRow = std::min(firstRow + pieceBlocks, split.getNumBlocks());
  int64_t lastColumn =
      std::min(firstColumn + pieceBlocks, split.getNumBlocks());
  for (int64_t row = firstRow; row < lastRow; ++row)
    for (int64_t column = std::max(row, firstColumn); column < lastColumn;
         ++column) {
      split.multiply(row, column, numRowTiles, sums);
      int64_t top = row * blockColumns, begin = column * blockColumns;
      int64_t height = std::min(blockColumns, hessian.rows - top);
      int64_t width = std::min(blockColumns, hessian.cols - begin);
      for (int64_t i = 0; i < height; ++i) {
        float *out = &hessian.at(top + i, begin);
        for (int64_t j = 0; j < width; ++j)
          out[j] += sums[i * blockColumns + j];
      }
    }
  _tile_release();
}

/// True if the processor has what the functions here are compiled for, and the
/// system lets this process use it.
static bool hasTiles() {
  static const bool has =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bf16") && nibble_rt_has_tiles();
  return has;
}

static void addByTiles(MatrixRef<const float> rows, MatrixRef<float> hessian,
                       unsigned threads) {
  SplitRows split(rows.cols);
  int64_t numPieces = (split.getNumBlocks() + pieceBlocks - 1) / pieceBlocks;
  std::vector<std::pair<int64_t, int64_t>> pieces;
  for (int64_t row = 0; row < numPieces; ++row)
    for (int64_t column = row; column < numPieces; ++column)
      pieces.push_back({row * pieceBlocks, column * pieceBlocks});
  for (int64_t first = 0; first < rows.rows; first += chunkRows) {
    int64_t count = std::min(chunkRows, rows.rows - first);
    int64_t numRowTiles = (count + tileRows - 1) / tileRows;
    MatrixRef<const float> chunk = rows.block(first, 0, count, rows.cols);
    parallelFor(numRowTiles, 1, threads, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        split.split(chunk, i);
    });
    parallelFor(pieces.size(), 1, threads, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        addPiece(split, pieces[i].first, pieces[i].second, numRowTiles,
                 hessian);
    });
  }
}
#else
static bool hasTiles() { return false; }
static void addByTiles(MatrixRef<const float>, MatrixRef<float>, unsigned) {}
#endif

void quantizer::addOuterProducts(MatrixRef<const float> rows,
                                 llvm::MutableArrayRef<float> hessian,
                                 unsigned threads) {
  int64_t size = rows.cols;
  MatrixRef<float> sums(hessian.data(), size, size, size);
  if (hasTiles())
    addByTiles(rows, sums, threads);
  else
    addProduct(rows.transposed(), rows, sums, /*upperOnly=*/true, threads);
}
