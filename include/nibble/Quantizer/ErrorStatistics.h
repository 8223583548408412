//===- ErrorStatistics.h - How far codes are from weights -------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_ERRORSTATISTICS_H
#define NIBBLE_QUANTIZER_ERRORSTATISTICS_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// Sums over weights w and their quantized values q; those of several tensors
/// can be added.
struct ErrorStatistics {
  double signal = 0;      ///< sum of w^2
  double noise = 0;       ///< sum of (w - q)^2
  double quantized = 0;   ///< sum of q^2
  double product = 0;     ///< sum of w q
  double maxAbsError = 0; ///< largest |w - q|
  int64_t count = 0;

  /// Signal to quantization noise in dB; infinite if there is no noise.
  double getSQNR() const;
  /// Cosine of the angle between w and q; 1 if both are zero.
  double getCosine() const;
  ErrorStatistics &operator+=(const ErrorStatistics &other);
};

/// Compares a weight with its codes. The same for any number of threads.
ErrorStatistics computeErrorStatistics(const WeightView &weight,
                                       const QuantizedWeight &quantized,
                                       unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_ERRORSTATISTICS_H
