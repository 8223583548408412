//===- Histogram.h - How weights and their errors are spread ----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_HISTOGRAM_H
#define NIBBLE_QUANTIZER_HISTOGRAM_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// How many values lie in each of the equal bins of [-limit, limit]. A value
/// between two bins belongs to the upper one, one beyond the ends to the bin
/// there.
struct Histogram {
  double limit = 0;
  std::vector<int64_t> counts;
};

/// Of a weight before and after quantization, over one range, and of the
/// difference after - before, over a range of its own.
struct WeightHistograms {
  Histogram before, after, errors;
};

/// Bins of each histogram in a report.
/// Odd, so that zero lies in the middle of one.
constexpr unsigned reportBins = 49;

/// Counts a weight and its values after quantization, `quantized` [rows, cols],
/// in `bins` bins each. Ranges reach to the largest magnitude: of the weight,
/// and of the errors. The same for any number of threads.
WeightHistograms computeHistograms(const WeightView &weight,
                                   llvm::ArrayRef<float> quantized,
                                   unsigned bins = reportBins,
                                   unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_HISTOGRAM_H
