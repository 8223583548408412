//===- Histogram.cpp - How weights and their errors are spread ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Histogram.h"
#include "nibble/Support/Parallel.h"
#include <algorithm>
#include <cmath>

using namespace nibble;
using namespace nibble::quantizer;

static constexpr int64_t tileRows = 16;

namespace {
/// What one piece of the rows has; the counts of all three, one after another.
struct Piece {
  double largest = 0, largestError = 0;
  std::vector<int64_t> counts;
};

class Counter {
public:
  Counter(double limit, unsigned bins) : limit(limit), bins(bins) {}
  unsigned find(double value) const {
    if (limit == 0)
      return bins / 2;
    double place = std::floor((value / limit + 1) / 2 * bins);
    return static_cast<unsigned>(std::clamp(place, 0.0, bins - 1.0));
  }

private:
  double limit;
  unsigned bins;
};
} // namespace

WeightHistograms quantizer::computeHistograms(const WeightView &weight,
                                              llvm::ArrayRef<float> quantized,
                                              unsigned bins, unsigned threads) {
  int64_t cols = weight.cols;
  std::vector<Piece> pieces((weight.rows + tileRows - 1) / tileRows);
  auto forTiles = [&](auto body) {
    parallelFor(weight.rows, tileRows, threads,
                [&](int64_t first, int64_t last) {
                  std::vector<float> before((last - first) * cols);
                  copyTile(weight, first, last - first, 0, cols, before.data());
                  llvm::ArrayRef<float> after =
                      quantized.slice(first * cols, before.size());
                  Piece &piece = pieces[first / tileRows];
                  for (size_t i = 0; i < before.size(); ++i)
                    body(piece, double(before[i]), double(after[i]));
                });
  };
  forTiles([](Piece &piece, double before, double after) {
    piece.largest = std::max(piece.largest, std::fabs(before));
    piece.largestError =
        std::max(piece.largestError, std::fabs(after - before));
  });
  double largest = 0, largestError = 0;
  for (Piece &piece : pieces) {
    largest = std::max(largest, piece.largest);
    largestError = std::max(largestError, piece.largestError);
    piece.counts.resize(3 * bins);
  }
  Counter values(largest, bins), errors(largestError, bins);
  forTiles([&](Piece &piece, double before, double after) {
    ++piece.counts[values.find(before)];
    ++piece.counts[bins + values.find(after)];
    ++piece.counts[2 * bins + errors.find(after - before)];
  });

  WeightHistograms result;
  Histogram *histograms[] = {&result.before, &result.after, &result.errors};
  for (int kind = 0; kind < 3; ++kind) {
    histograms[kind]->limit = kind == 2 ? largestError : largest;
    histograms[kind]->counts.resize(bins);
    for (const Piece &piece : pieces)
      for (unsigned bin = 0; bin < bins; ++bin)
        histograms[kind]->counts[bin] += piece.counts[kind * bins + bin];
  }
  return result;
}
