//===- OutputError.cpp - What a weight's error does to outputs ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/OutputError.h"
#include "nibble/Support/Parallel.h"
#include <Eigen/Core>
#include <limits>

using namespace nibble;
using namespace nibble::quantizer;

using Matrix =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMap =
    Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic,
                                   Eigen::RowMajor>>;

/// Rows that are worked on at once. Pieces are fixed, so that the sums do not
/// depend on threads.
static constexpr int64_t tileRows = 32;

double OutputError::getRelative() const {
  if (noise == 0)
    return 0;
  return signal == 0 ? std::numeric_limits<double>::infinity() : noise / signal;
}

OutputError &OutputError::operator+=(const OutputError &other) {
  signal += other.signal;
  noise += other.noise;
  return *this;
}

/// Calls `body` with W and, below it, W - W' of some rows, for all rows.
static OutputError
sumOverTiles(const WeightView &weight, llvm::ArrayRef<float> quantized,
             unsigned threads,
             llvm::function_ref<OutputError(const Matrix &tile)> body) {
  int64_t cols = weight.cols;
  std::vector<OutputError> pieces((weight.rows + tileRows - 1) / tileRows);
  parallelFor(weight.rows, tileRows, threads, [&](int64_t first, int64_t last) {
    int64_t count = last - first;
    std::vector<float> values(count * cols);
    copyTile(weight, first, count, 0, cols, values.data());
    FloatMap after(quantized.data() + first * cols, count, cols);
    Matrix tile(2 * count, cols);
    tile.topRows(count) = FloatMap(values.data(), count, cols).cast<double>();
    tile.bottomRows(count) = tile.topRows(count) - after.cast<double>();
    pieces[first / tileRows] = body(tile);
  });
  OutputError total;
  for (const OutputError &piece : pieces)
    total += piece;
  return total;
}

OutputError quantizer::computeOutputError(const WeightView &weight,
                                          llvm::ArrayRef<float> quantized,
                                          llvm::ArrayRef<float> hessian,
                                          unsigned threads) {
  constexpr int64_t blockCols = 128;
  int64_t cols = weight.cols;
  FloatMap inputs(hessian.data(), cols, cols);
  return sumOverTiles(weight, quantized, threads, [&](const Matrix &tile) {
    int64_t count = tile.rows() / 2;
    OutputError sum;
    auto add = [&](const Matrix &products, int64_t first, double factor) {
      auto part =
          products.cwiseProduct(tile.middleCols(first, products.cols()));
      sum.signal += factor * part.topRows(count).sum();
      sum.noise += factor * part.bottomRows(count).sum();
    };
    // H is symmetric: what is left of the diagonal counts twice.
    for (int64_t first = 0; first < cols; first += blockCols) {
      int64_t length = std::min(blockCols, cols - first);
      Matrix block =
          inputs.block(first, 0, length, first + length).cast<double>();
      if (first)
        add(tile.leftCols(first) * block.leftCols(first).transpose(), first, 2);
      add(tile.middleCols(first, length) * block.rightCols(length).transpose(),
          first, 1);
    }
    return sum;
  });
}

OutputError quantizer::estimateOutputError(const WeightView &weight,
                                           llvm::ArrayRef<float> quantized,
                                           llvm::ArrayRef<float> meanSquares,
                                           unsigned threads) {
  Eigen::VectorXd diagonal =
      FloatMap(meanSquares.data(), weight.cols, 1).cast<double>();
  return sumOverTiles(weight, quantized, threads, [&](const Matrix &tile) {
    int64_t count = tile.rows() / 2;
    Eigen::VectorXd rows = tile.cwiseAbs2() * diagonal;
    return OutputError{rows.head(count).sum(), rows.tail(count).sum()};
  });
}
