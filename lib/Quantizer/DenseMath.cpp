//===- DenseMath.cpp - Products and factors of matrices -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/DenseMath.h"
#include "VectorMath.h"
#include "nibble/Support/Parallel.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

using namespace nibble;
using namespace nibble::quantizer;

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Elements of c that one piece of work owns, along each side, and terms that
/// are summed in registers before they are added to it: what is read again and
/// again then lies in the caches next to the core.
static constexpr int64_t tileSize = 192, tileDepth = 192;

namespace {
/// Factors and sums of one piece, in the order in which they are read.
template <typename T>
struct TileBuffers {
  std::vector<T> left = std::vector<T>(tileSize * tileDepth);
  std::vector<T> right = std::vector<T>(tileSize * tileDepth);
  std::vector<T> sums = std::vector<T>(tileSize * tileSize);
};
} // namespace

/// [rows / 12][depth][12], the last filled with zeros.
template <typename T>
static void packLeft(MatrixRef<const T> a, std::vector<T> &out) {
  T *to = out.data();
  for (int64_t row = 0; row < a.rows; row += packedRows) {
    int64_t count = std::min<int64_t>(packedRows, a.rows - row);
    for (int64_t k = 0; k < a.cols; ++k, to += packedRows) {
      const T *from = &a.at(row, k);
      if (count == packedRows && a.rowStride == 1) {
        std::memcpy(to, from, packedRows * sizeof(T));
        continue;
      }
      for (int64_t r = 0; r < packedRows; ++r)
        to[r] = r < count ? from[r * a.rowStride] : T(0);
    }
  }
}

/// [columns / width][depth][width], the last filled with zeros.
template <typename T>
static void packRight(MatrixRef<const T> b, int64_t width,
                      std::vector<T> &out) {
  T *to = out.data();
  for (int64_t col = 0; col < b.cols; col += width) {
    int64_t count = std::min(width, b.cols - col);
    for (int64_t k = 0; k < b.rows; ++k, to += width) {
      std::memcpy(to, &b.at(k, col), count * sizeof(T));
      std::fill(to + count, to + width, T(0));
    }
  }
}

template <typename CPU, int sign, typename T>
NIBBLE_INLINE void multiplyPacked(int64_t rows, int64_t cols, int64_t depth,
                                  TileBuffers<T> &buffers) {
  constexpr int64_t width = 2 * CPU::vectorBytes / sizeof(T);
  for (int64_t col = 0; col < cols; col += width)
    for (int64_t row = 0; row < rows; row += packedRows)
      multiplyPanel<CPU, sign>(depth, buffers.left.data() + row * depth,
                               buffers.right.data() + col * depth, width,
                               buffers.sums.data() + row * tileSize + col,
                               tileSize, width);
}

template <int sign, typename T>
NIBBLE_TARGET_AVX512 static void multiplyAVX512(int64_t rows, int64_t cols,
                                                int64_t depth,
                                                TileBuffers<T> &buffers) {
  multiplyPacked<AVX512CPU, sign>(rows, cols, depth, buffers);
}
template <int sign, typename T>
NIBBLE_TARGET_AVX2 static void multiplyAVX2(int64_t rows, int64_t cols,
                                            int64_t depth,
                                            TileBuffers<T> &buffers) {
  multiplyPacked<AVX2CPU, sign>(rows, cols, depth, buffers);
}

/// One piece: c of at most tileSize x tileSize.
template <int sign, typename T>
static void multiplyPiece(MatrixRef<const T> a, MatrixRef<const T> b,
                          MatrixRef<T> c, TileBuffers<T> &buffers) {
  CPUKind cpu = getCPU();
  int64_t bytes = cpu == CPUKind::AVX512 ? AVX512CPU::vectorBytes
                  : cpu == CPUKind::AVX2 ? AVX2CPU::vectorBytes
                                         : BaseCPU::vectorBytes;
  int64_t width = 2 * bytes / sizeof(T);
  for (int64_t row = 0; row < c.rows; ++row)
    std::memcpy(buffers.sums.data() + row * tileSize, &c.at(row, 0),
                c.cols * sizeof(T));
  for (int64_t k = 0; k < a.cols; k += tileDepth) {
    int64_t depth = std::min(tileDepth, a.cols - k);
    packLeft<T>(a.block(0, k, a.rows, depth), buffers.left);
    packRight<T>(b.block(k, 0, depth, b.cols), width, buffers.right);
    if (cpu == CPUKind::AVX512)
      multiplyAVX512<sign>(c.rows, c.cols, depth, buffers);
    else if (cpu == CPUKind::AVX2)
      multiplyAVX2<sign>(c.rows, c.cols, depth, buffers);
    else
      multiplyPacked<BaseCPU, sign>(c.rows, c.cols, depth, buffers);
  }
  for (int64_t row = 0; row < c.rows; ++row)
    std::memcpy(&c.at(row, 0), buffers.sums.data() + row * tileSize,
                c.cols * sizeof(T));
}

template <int sign, typename T>
static void multiply(MatrixRef<const T> a, MatrixRef<const T> b, MatrixRef<T> c,
                     bool upperOnly, unsigned threads) {
  if (a.cols == 0)
    return;
  int64_t tileRows = (c.rows + tileSize - 1) / tileSize;
  int64_t tileCols = (c.cols + tileSize - 1) / tileSize;
  std::vector<std::pair<int64_t, int64_t>> tiles;
  for (int64_t row = 0; row < tileRows; ++row)
    for (int64_t col = upperOnly ? row : 0; col < tileCols; ++col)
      tiles.push_back({row * tileSize, col * tileSize});
  parallelFor(tiles.size(), 1, threads, [&](int64_t first, int64_t last) {
    static thread_local TileBuffers<T> buffers;
    for (int64_t i = first; i < last; ++i) {
      auto [row, col] = tiles[i];
      int64_t rows = std::min(tileSize, c.rows - row);
      int64_t cols = std::min(tileSize, c.cols - col);
      multiplyPiece<sign, T>(a.block(row, 0, rows, a.cols),
                             b.block(0, col, b.rows, cols),
                             c.block(row, col, rows, cols), buffers);
    }
  });
}

void quantizer::addProduct(MatrixRef<const float> a, MatrixRef<const float> b,
                           MatrixRef<float> c, bool upperOnly,
                           unsigned threads) {
  multiply<1>(a, b, c, upperOnly, threads);
}

void quantizer::subtractProduct(MatrixRef<const double> a,
                                MatrixRef<const double> b, MatrixRef<double> c,
                                bool upperOnly, unsigned threads) {
  multiply<-1>(a, b, c, upperOnly, threads);
}

void quantizer::mirrorUpper(llvm::MutableArrayRef<float> matrix, int64_t size,
                            unsigned threads) {
  // In squares: reading down a column alone would miss the cache each time.
  constexpr int64_t square = 32;
  parallelFor(size, square, threads, [&](int64_t first, int64_t last) {
    for (int64_t begin = 0; begin < last; begin += square)
      for (int64_t row = first; row < last; ++row)
        for (int64_t col = begin; col < std::min(row, begin + square); ++col)
          matrix[row * size + col] = matrix[col * size + row];
  });
}

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

/// Rows that are worked on without products of matrices.
static constexpr int64_t blockSize = 64;

/// The upper triangular m with m^T m = `block`, in place.
static bool factorBlock(MatrixRef<double> block) {
  for (int64_t i = 0; i < block.rows; ++i) {
    for (int64_t k = 0; k < i; ++k) {
      double factor = block.at(k, i);
      for (int64_t j = i; j < block.cols; ++j)
        block.at(i, j) -= factor * block.at(k, j);
    }
    double pivot = block.at(i, i);
    // False for NaN too.
    if (!(pivot > 0) || !std::isfinite(pivot))
      return false;
    double inverse = 1 / std::sqrt(pivot);
    for (int64_t j = i; j < block.cols; ++j)
      block.at(i, j) *= inverse;
  }
  return true;
}

/// `out` = -inverse of the upper triangular `block`, zero below the diagonal.
static void invertBlock(MatrixRef<double> block, MatrixRef<double> out) {
  for (int64_t i = block.rows - 1; i >= 0; --i) {
    double inverse = 1 / block.at(i, i);
    for (int64_t j = 0; j < block.cols; ++j) {
      double sum = 0;
      for (int64_t k = i + 1; k <= j; ++k)
        sum += block.at(i, k) * out.at(k, j);
      out.at(i, j) = j < i ? 0 : j == i ? -inverse : -sum * inverse;
    }
  }
}

/// Copies `from`, and makes it zero.
static std::vector<double> take(MatrixRef<double> from) {
  std::vector<double> copy(from.rows * from.cols);
  for (int64_t row = 0; row < from.rows; ++row) {
    double *begin = &from.at(row, 0);
    std::copy_n(begin, from.cols, copy.data() + row * from.cols);
    std::fill_n(begin, from.cols, 0.0);
  }
  return copy;
}

bool quantizer::factorCholesky(llvm::MutableArrayRef<double> matrix,
                               int64_t size, unsigned threads) {
  MatrixRef<double> all(matrix.data(), size, size, size);
  std::vector<double> storage(blockSize * blockSize);
  for (int64_t begin = 0; begin < size; begin += blockSize) {
    int64_t count = std::min(blockSize, size - begin);
    int64_t end = begin + count, left = size - end;
    MatrixRef<double> block = all.block(begin, begin, count, count);
    if (!factorBlock(block))
      return false;
    if (left == 0)
      break;
    // The rows beside it, times the inverse of what is now in the block.
    MatrixRef<double> inverse(storage.data(), count, count, count);
    invertBlock(block, inverse);
    MatrixRef<double> beside = all.block(begin, end, count, left);
    std::vector<double> copy = take(beside);
    subtractProduct(inverse.transposed(),
                    MatrixRef<double>(copy.data(), count, left, left), beside,
                    /*upperOnly=*/false, threads);
    subtractProduct(beside.transposed(), beside,
                    all.block(end, end, left, left), /*upperOnly=*/true,
                    threads);
  }
  return true;
}

void quantizer::invertUpper(llvm::MutableArrayRef<double> matrix, int64_t size,
                            unsigned threads) {
  MatrixRef<double> all(matrix.data(), size, size, size);
  parallelFor(size, blockSize, threads, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      std::fill_n(&all.at(row, 0), row, 0.0);
  });
  std::vector<double> storage(blockSize * blockSize);
  int64_t numBlocks = (size + blockSize - 1) / blockSize;
  for (int64_t index = numBlocks - 1; index >= 0; --index) {
    int64_t begin = index * blockSize;
    int64_t count = std::min(blockSize, size - begin);
    int64_t end = begin + count, left = size - end;
    MatrixRef<double> block = all.block(begin, begin, count, count);
    MatrixRef<double> inverse(storage.data(), count, count, count);
    invertBlock(block, inverse);
    // m [b r; 0 s] = 1 gives for the rows of the block: -b^-1 r s^-1, where
    // s^-1 is what is below already.
    if (left > 0) {
      MatrixRef<double> beside = all.block(begin, end, count, left);
      std::vector<double> copy = take(beside);
      parallelFor(left, tileSize, threads, [&](int64_t first, int64_t last) {
        int64_t width = last - first;
        std::vector<double> product(count * width);
        MatrixRef<double> negated(product.data(), count, width, width);
        // Below its diagonal s^-1 is zero.
        subtractProduct(MatrixRef<double>(copy.data(), count, last, left),
                        all.block(end, end + first, last, width), negated,
                        /*upperOnly=*/false, /*threads=*/1);
        // `inverse` and `negated` both have a minus sign.
        subtractProduct(inverse, negated, beside.block(0, first, count, width),
                        /*upperOnly=*/false, /*threads=*/1);
      });
    }
    for (int64_t row = 0; row < count; ++row)
      for (int64_t col = row; col < count; ++col)
        block.at(row, col) = -inverse.at(row, col);
  }
}
