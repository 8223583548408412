//===- Ranges.h - From what was seen to a range -----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The methods that choose a range. Percentile and entropy are those of
// onnxruntime.quantization.calibrate; theirs look at all values at once, ours
// at a histogram that grew while they came, whose bins are at least as fine:
// the bounds of a percentile differ by at most one of their 2048 bins, and
// those of entropy where values on the border of two bins decide.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_CALIBRATION_RANGES_H
#define NIBBLE_CALIBRATION_RANGES_H

#include "nibble/Calibration/Statistics.h"

namespace nibble::calibration {

/// Counts in `counts.size()` bins of equal width between two edges.
struct BinnedCounts {
  double low = 0, high = 0;
  std::vector<uint64_t> counts;

  double getEdge(size_t bin) const {
    return low + (high - low) * (static_cast<double>(bin) / counts.size());
  }
};

/// A histogram in other bins: each bin goes where its middle lies.
BinnedCounts rebin(const Histogram &histogram, double low, double high,
                   size_t bins);
/// A histogram of |x| with the width of `histogram`.
BinnedCounts foldAbsolute(const Histogram &histogram);

/// ONNX Runtime's percentile: lower edge of the first bin at which
/// `percentile` of 100 values are reached. Symmetric: `counts` are of |x|, and
/// the range is [-t, t]; otherwise half of the rest is cut at each end.
Range choosePercentile(const BinnedCounts &counts, double percentile,
                       bool symmetric);

/// ONNX Runtime's entropy: of all ranges around zero, that whose distribution,
/// reduced to `quantizedBins` bins, has the least Kullback-Leibler divergence
/// from the distribution with everything outside moved to the ends. Empty bins
/// count 1e-4. Sums are exact here; ONNX Runtime's are of floats, which decide
/// where divergences are nearly equal. Source: S. Migacz, 8-bit Inference with
/// TensorRT, GTC 2017.
Range chooseEntropy(const BinnedCounts &counts, int64_t quantizedBins);

/// The divergences among which `chooseEntropy` chooses: the first is of
/// `quantizedBins / 2` bins on either side of zero, the last of all.
std::vector<double> getDivergences(const BinnedCounts &counts,
                                   int64_t quantizedBins);

/// The range [min, max], shrunk in steps of a hundredth down to four fifths,
/// with the least sum of |x - q(x)|^norm for codes of 8 bits; the search ends
/// when five steps were not better. Zero is always a code. Source: the
/// observer "mse" of llm-compressor, whose norm is 2.4.
Range chooseMSE(const Histogram &histogram, float min, float max,
                bool symmetric, double norm);

/// The range of a tensor that has been seen to its end. Moving averages are
/// not made here: `tensor.range` is returned.
Range chooseRange(const TensorStatistics &tensor, const RangeOptions &options);

} // namespace nibble::calibration

#endif // NIBBLE_CALIBRATION_RANGES_H
