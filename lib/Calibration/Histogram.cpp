//===- Histogram.cpp - Counts that grow with the values -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Statistics.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace nibble::calibration;

/// Bins between zero and the power of two above max |x|.
static constexpr int binsLog2 = 12;

/// The width for values up to `absMax`.
static double getWidth(float absMax) {
  if (absMax == 0)
    return 0;
  int exponent;
  double fraction = std::frexp(static_cast<double>(absMax), &exponent);
  // frexp's fraction is in [0.5, 1): a power of two is the bound itself.
  return std::ldexp(1.0,
                    (fraction == 0.5 ? exponent - 1 : exponent) - binsLog2);
}

static int64_t getFirst(const Histogram &histogram) {
  return histogram.width == 0
             ? 0
             : static_cast<int64_t>(histogram.low / histogram.width);
}

void Histogram::widen(double newWidth) {
  if (newWidth <= width)
    return;
  if (width == 0 || counts.empty()) {
    // Zeros, all in one bin, whose place does not change.
    width = newWidth;
    low = 0;
    return;
  }
  int64_t first = getFirst(*this);
  // Both widths are powers of two, so this is exact.
  double ratio = width / newWidth;
  auto divide = [&](int64_t index) {
    return static_cast<int64_t>(std::floor(static_cast<double>(index) * ratio));
  };
  int64_t newFirst = divide(first);
  int64_t newLast = divide(first + static_cast<int64_t>(counts.size()) - 1);
  std::vector<uint64_t> merged(newLast - newFirst + 1);
  for (size_t i = 0; i != counts.size(); ++i)
    merged[divide(first + static_cast<int64_t>(i)) - newFirst] += counts[i];
  counts = std::move(merged);
  width = newWidth;
  low = static_cast<double>(newFirst) * newWidth;
}

void Histogram::include(int64_t newFirst, int64_t newLast) {
  int64_t first = getFirst(*this);
  if (counts.empty()) {
    counts.resize(newLast - newFirst + 1);
    low = static_cast<double>(newFirst) * width;
    return;
  }
  int64_t last = first + static_cast<int64_t>(counts.size()) - 1;
  if (newLast > last)
    counts.resize(newLast - first + 1);
  if (newFirst < first) {
    counts.insert(counts.begin(), first - newFirst, 0);
    low = static_cast<double>(newFirst) * width;
  }
}

void Histogram::add(llvm::ArrayRef<float> values, float absMax) {
  if (values.empty())
    return;
  widen(getWidth(absMax));
  if (width == 0) {
    include(0, 0);
    counts[0] += values.size();
    return;
  }
  auto [least, largest] = std::minmax_element(values.begin(), values.end());
  double scale = 1 / width;
  include(static_cast<int64_t>(std::floor(*least * scale)),
          static_cast<int64_t>(std::floor(*largest * scale)));
  uint64_t *bins = counts.data() - getFirst(*this);
  for (float value : values)
    ++bins[static_cast<int64_t>(std::floor(value * scale))];
}

void Histogram::merge(const Histogram &other) {
  if (other.counts.empty())
    return;
  Histogram right = other;
  double common = std::max(width, right.width);
  widen(common);
  right.widen(common);
  int64_t first = getFirst(right);
  include(first, first + static_cast<int64_t>(right.counts.size()) - 1);
  uint64_t *bins = counts.data() + (first - getFirst(*this));
  for (size_t i = 0; i != right.counts.size(); ++i)
    bins[i] += right.counts[i];
}

uint64_t Histogram::getTotal() const {
  return std::accumulate(counts.begin(), counts.end(), uint64_t(0));
}

llvm::Error Histogram::validate() const {
  // Widths of the least and the largest float; indices of bins then are exact
  // and small, whatever a file says.
  static const double least =
      getWidth(std::numeric_limits<float>::denorm_min());
  static const double largest = getWidth(std::numeric_limits<float>::max());
  constexpr auto limit = static_cast<double>(1 << binsLog2);
  int exponent;
  bool isHistogram;
  if (width == 0) {
    isHistogram = low == 0 && counts.size() <= 1;
  } else {
    double first = low / width;
    isHistogram = width >= least && width <= largest &&
                  std::frexp(width, &exponent) == 0.5 && first >= -limit &&
                  first <= limit && std::floor(first) == first &&
                  first + static_cast<double>(counts.size()) <= limit + 1;
  }
  if (isHistogram)
    return llvm::Error::success();
  return llvm::createStringError(
      "the histogram has a width that is no power of two or not of floats, a "
      "lower end that is no multiple of it, or too many bins");
}
