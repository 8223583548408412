//===- OutputDistance.cpp - How far outputs are apart ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/OutputDistance.h"
#include "nibble/Support/Parallel.h"
#include <Eigen/Core>
#include <cmath>
#include <limits>

using namespace nibble;
using namespace nibble::quantizer;

using Row = Eigen::Map<const Eigen::ArrayXf>;

/// What is subtracted from a row of logits to make logarithms of probabilities.
static double getNormalizer(const Row &row) {
  float most = row.maxCoeff();
  return most + std::log((row - most).exp().cast<double>().sum());
}

double quantizer::computeDivergence(llvm::ArrayRef<float> reference,
                                    llvm::ArrayRef<float> other,
                                    int64_t columns, unsigned threads) {
  int64_t rows = reference.size() / columns;
  std::vector<double> divergences(rows);
  parallelFor(rows, 1, threads, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      Row before(reference.data() + i * columns, columns),
          after(other.data() + i * columns, columns);
      double shift = getNormalizer(before), otherShift = getNormalizer(after);
      // log p - log q = before - after + (the same for all columns).
      Eigen::ArrayXd gap = (before - after).cast<double>() + otherShift - shift;
      Eigen::ArrayXd weights =
          (before - static_cast<float>(shift)).exp().cast<double>();
      // Rounding must not leave less than nothing.
      divergences[i] = std::max(0.0, (weights * gap).sum() / weights.sum());
      if (!std::isfinite(shift) || !std::isfinite(otherShift))
        divergences[i] = std::numeric_limits<double>::infinity();
    }
  });
  double sum = 0;
  for (double divergence : divergences)
    sum += divergence;
  return sum;
}

OutputError quantizer::computeDifference(llvm::ArrayRef<float> reference,
                                         llvm::ArrayRef<float> other,
                                         unsigned threads) {
  // Pieces are fixed, so that sums do not depend on threads.
  constexpr int64_t pieceSize = 1 << 14;
  int64_t size = reference.size();
  std::vector<OutputError> pieces((size + pieceSize - 1) / pieceSize);
  parallelFor(size, pieceSize, threads, [&](int64_t first, int64_t last) {
    Row before(reference.data() + first, last - first),
        after(other.data() + first, last - first);
    Eigen::ArrayXd exact = before.cast<double>();
    pieces[first / pieceSize] = {exact.square().sum(),
                                 (exact - after.cast<double>()).square().sum()};
  });
  OutputError total;
  for (const OutputError &piece : pieces)
    total += piece;
  if (!std::isfinite(total.noise))
    total.noise = std::numeric_limits<double>::infinity();
  return total;
}
