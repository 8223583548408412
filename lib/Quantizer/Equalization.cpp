//===- Equalization.cpp - Channels of equal range -------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Equalization.h"
#include <algorithm>
#include <cassert>
#include <cmath>

using namespace nibble::quantizer;

namespace {

/// A layer with the factors of the rounds so far applied.
struct Layer {
  const ChainWeight &shape;
  std::vector<double> values;

  explicit Layer(const ChainWeight &weight)
      : shape(weight),
        values(weight.magnitudes.begin(), weight.magnitudes.end()) {}

  int64_t getPerGroup() const { return shape.inputs / shape.groups; }

  /// Calls `fn` with each element of row `c`.
  template <typename Fn>
  void forRow(int64_t c, Fn fn) {
    for (int64_t i = 0, e = getPerGroup(); i < e; ++i)
      fn(values[c * e + i]);
  }

  /// Calls `fn` with each element that multiplies input channel `c`.
  template <typename Fn>
  void forColumn(int64_t c, Fn fn) {
    int64_t perGroup = getPerGroup(), rows = shape.outputs / shape.groups;
    int64_t first = c / perGroup * rows;
    for (int64_t row = first; row < first + rows; ++row)
      fn(values[row * perGroup + c % perGroup]);
  }
};

} // namespace

std::vector<std::vector<float>>
nibble::quantizer::equalizeChain(llvm::ArrayRef<ChainWeight> chain,
                                 double tolerance, unsigned maxRounds) {
  std::vector<Layer> layers(chain.begin(), chain.end());
  std::vector<std::vector<double>> factors;
  for (size_t i = 0; i + 1 < chain.size(); ++i) {
    assert(chain[i].outputs == chain[i + 1].inputs && "layers do not fit");
    factors.emplace_back(chain[i].outputs, 1.0);
  }
  double change = tolerance + 1;
  for (unsigned round = 0; round < maxRounds && change > tolerance; ++round) {
    change = 0;
    for (size_t i = 0; i < factors.size(); ++i)
      for (int64_t c = 0; c < chain[i].outputs; ++c) {
        double before = 0, after = 0;
        layers[i].forRow(c, [&](double v) { before = std::max(before, v); });
        layers[i + 1].forColumn(c,
                                [&](double v) { after = std::max(after, v); });
        if (!(before > 0) || !(after > 0))
          continue;
        double factor = std::sqrt(before * after) / after;
        layers[i].forRow(c, [&](double &v) { v /= factor; });
        layers[i + 1].forColumn(c, [&](double &v) { v *= factor; });
        factors[i][c] *= factor;
        change = std::max(change, std::fabs(factor - 1));
      }
  }
  std::vector<std::vector<float>> result;
  for (const std::vector<double> &list : factors)
    result.emplace_back(list.begin(), list.end());
  return result;
}
