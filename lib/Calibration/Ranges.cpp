//===- Ranges.cpp - From what was seen to a range -------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Ranges.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace nibble::calibration;

/// The bin of a position, which may be outside or no number.
static size_t getBin(double position, size_t bins) {
  if (!(position > 0))
    return 0;
  return position < static_cast<double>(bins) ? static_cast<size_t>(position)
                                              : bins - 1;
}

BinnedCounts nibble::calibration::rebin(const Histogram &histogram, double low,
                                        double high, size_t bins) {
  BinnedCounts result{low, high, std::vector<uint64_t>(bins)};
  double scale = high > low ? static_cast<double>(bins) / (high - low) : 0;
  for (auto [i, count] : llvm::enumerate(histogram.counts)) {
    double middle =
        histogram.low + (static_cast<double>(i) + 0.5) * histogram.width;
    result.counts[getBin((middle - low) * scale, bins)] += count;
  }
  return result;
}

BinnedCounts nibble::calibration::foldAbsolute(const Histogram &histogram) {
  BinnedCounts result;
  // No bin of a histogram is further from zero than that.
  constexpr size_t maxBins = 1 << 16;
  for (auto [i, count] : llvm::enumerate(histogram.counts)) {
    double left = histogram.low + static_cast<double>(i) * histogram.width;
    double distance = left < 0 ? -left - histogram.width : left;
    size_t index = getBin(distance / histogram.width, maxBins);
    if (index >= result.counts.size())
      result.counts.resize(index + 1);
    result.counts[index] += count;
  }
  result.high = static_cast<double>(result.counts.size()) * histogram.width;
  return result;
}

Range nibble::calibration::choosePercentile(const BinnedCounts &counts,
                                            double percentile, bool symmetric) {
  double total = static_cast<double>(
      std::accumulate(counts.counts.begin(), counts.counts.end(), uint64_t(0)));
  // The sum of rounded shares may stay below the last bound.
  auto find = [&](double share) {
    double sum = 0;
    for (size_t i = 0; i != counts.counts.size(); ++i) {
      sum += static_cast<double>(counts.counts[i]) / total;
      if (sum >= share)
        return i;
    }
    return counts.counts.size();
  };
  if (symmetric) {
    auto bound = static_cast<float>(counts.getEdge(find(percentile / 100)));
    return {-bound, bound};
  }
  double cut = (100 - percentile) / 200;
  return {static_cast<float>(counts.getEdge(find(cut))),
          static_cast<float>(counts.getEdge(find(1 - cut)))};
}

/// Replaces zeros by 1e-4 and takes as much off the others; false if all are
/// zero or an entry would not stay positive.
static bool smooth(std::vector<float> &values) {
  auto zeros =
      static_cast<double>(std::count(values.begin(), values.end(), 0.0f));
  double others = static_cast<double>(values.size()) - zeros;
  if (others == 0)
    return false;
  constexpr double epsilon = 1e-4;
  auto taken = static_cast<float>(epsilon * zeros / others);
  for (float &value : values) {
    value = value == 0 ? static_cast<float>(epsilon) : value - taken;
    if (value <= 0)
      return false;
  }
  return true;
}

/// Kullback-Leibler divergence of two distributions that are not normalized.
static double getDivergence(const std::vector<float> &p,
                            const std::vector<float> &q) {
  double sumP = std::accumulate(p.begin(), p.end(), 0.0);
  double sumQ = std::accumulate(q.begin(), q.end(), 0.0);
  double divergence = 0;
  for (size_t i = 0; i != p.size(); ++i)
    divergence += p[i] / sumP * std::log(p[i] / sumP / (q[i] / sumQ));
  return divergence;
}

std::vector<double>
nibble::calibration::getDivergences(const BinnedCounts &histogram,
                                    int64_t quantizedBins) {
  llvm::ArrayRef<uint64_t> counts = histogram.counts;
  auto bins = static_cast<int64_t>(counts.size());
  int64_t zero = bins / 2;
  std::vector<uint64_t> before(bins + 1);
  std::partial_sum(counts.begin(), counts.end(), before.begin() + 1);
  std::vector<double> divergences;
  for (int64_t half = quantizedBins / 2; half <= zero; ++half) {
    int64_t start = zero - half, end = std::min(zero + half + 1, bins);
    int64_t size = end - start, merged = size / quantizedBins;
    llvm::ArrayRef<uint64_t> slice = counts.slice(start, size);
    // What lies outside is moved to the ends of the reference, not of the
    // quantized distribution.
    std::vector<uint64_t> reference(slice.begin(), slice.end());
    reference.front() += before[start];
    reference.back() += before[bins] - before[end];
    std::vector<float> p(reference.begin(), reference.end()), q(size);
    for (int64_t i = 0; i != quantizedBins; ++i) {
      int64_t first = i * merged, last = first + merged;
      bool isEnd = i + 1 == quantizedBins;
      uint64_t sum =
          before[start + (isEnd ? size : last)] - before[start + first];
      int64_t used =
          std::count_if(reference.begin() + first, reference.begin() + last,
                        [](uint64_t count) { return count != 0; });
      // Counts are integers, so the share of a bin is cut to one.
      if (used)
        std::fill(
            q.begin() + first, q.begin() + last,
            std::trunc(static_cast<double>(sum) / static_cast<double>(used)));
    }
    divergences.push_back(smooth(p) && smooth(q)
                              ? getDivergence(p, q)
                              : std::numeric_limits<double>::infinity());
  }
  return divergences;
}

Range nibble::calibration::chooseEntropy(const BinnedCounts &histogram,
                                         int64_t quantizedBins) {
  std::vector<double> divergences = getDivergences(histogram, quantizedBins);
  auto bins = static_cast<int64_t>(histogram.counts.size());
  int64_t half = quantizedBins / 2 +
                 (std::min_element(divergences.begin(), divergences.end()) -
                  divergences.begin());
  int64_t zero = bins / 2;
  return {
      static_cast<float>(histogram.getEdge(zero - half)),
      static_cast<float>(histogram.getEdge(std::min(zero + half + 1, bins)))};
}

Range nibble::calibration::chooseMSE(const Histogram &histogram, float min,
                                     float max, bool symmetric, double norm) {
  constexpr int steps = 100, patience = 5;
  constexpr double maxShrink = 0.2;
  if (symmetric) {
    max = std::max(std::fabs(min), std::fabs(max));
    min = -max;
  }
  double best = std::numeric_limits<double>::infinity();
  Range chosen = {min, max};
  int waited = 0;
  for (int step = 0; step < maxShrink * steps; ++step) {
    double factor = 1 - static_cast<double>(step) / steps;
    double low = std::min(min * factor, 0.0),
           high = std::max(max * factor, 0.0);
    double levels = symmetric ? 254 : 255;
    double scale = (high - low) / levels;
    if (scale == 0)
      return chosen;
    double zero = std::nearbyint(-low / scale), error = 0;
    for (auto [i, count] : llvm::enumerate(histogram.counts)) {
      if (!count)
        continue;
      double x =
          histogram.low + (static_cast<double>(i) + 0.5) * histogram.width;
      double code = std::clamp(std::nearbyint(x / scale) + zero, 0.0, levels);
      error += static_cast<double>(count) *
               std::pow(std::fabs((code - zero) * scale - x), norm);
    }
    if (error < best) {
      best = error;
      chosen = {static_cast<float>(min * factor),
                static_cast<float>(max * factor)};
      waited = 0;
    } else if (++waited >= patience) {
      break;
    }
  }
  return chosen;
}

Range nibble::calibration::chooseRange(const TensorStatistics &tensor,
                                       const RangeOptions &options) {
  float absMax = std::max(std::fabs(tensor.min), std::fabs(tensor.max));
  auto cut = [&](Range range) {
    Range result{std::max(range.low, tensor.min),
                 std::min(range.high, tensor.max)};
    // Bounds are edges of bins, so all values may lie beside one.
    return result.low <= result.high ? result : Range{tensor.min, tensor.max};
  };
  bool hasCounts = tensor.histogram && !tensor.histogram->counts.empty();
  switch (options.method) {
  case Method::MovingAverage:
    return tensor.range;
  case Method::Percentile:
    if (!hasCounts)
      break;
    if (options.symmetric)
      return cut(choosePercentile(foldAbsolute(*tensor.histogram),
                                  options.percentile, true));
    return cut(choosePercentile(
        {tensor.histogram->low,
         tensor.histogram->low +
             tensor.histogram->width * tensor.histogram->counts.size(),
         tensor.histogram->counts},
        options.percentile, false));
  case Method::Entropy:
    if (!hasCounts)
      break;
    return cut(
        chooseEntropy(rebin(*tensor.histogram, -absMax, absMax, options.bins),
                      options.quantizedBins));
  case Method::MSE:
    if (!hasCounts)
      break;
    return chooseMSE(*tensor.histogram, tensor.min, tensor.max,
                     options.symmetric, options.norm);
  case Method::MinMax:
    break;
  }
  if (options.symmetric)
    return {-absMax, absMax};
  return {tensor.min, tensor.max};
}
