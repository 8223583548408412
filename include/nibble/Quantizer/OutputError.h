//===- OutputError.h - What a weight's error does to outputs ----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_OUTPUTERROR_H
#define NIBBLE_QUANTIZER_OUTPUTERROR_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// Sums over inputs x of a layer y = W x, and over its outputs: how large they
/// are, and how far those of the quantized weight W' are from them.
struct OutputError {
  double signal = 0; ///< sum of |W x|^2
  double noise = 0;  ///< sum of |(W - W') x|^2

  /// noise / signal: 0 if there is no noise, infinite if there is but no
  /// signal.
  double getRelative() const;
  OutputError &operator+=(const OutputError &other);
};

/// The error over all inputs that made `hessian` = sum of x x' [cols, cols],
/// which is symmetric: tr(D H D') and tr(W H W') with D = W - W'. Exact but for
/// the rounding of H; sums are made in double. `quantized` [rows, cols] holds
/// W'. The same for any number of threads.
OutputError computeOutputError(const WeightView &weight,
                               llvm::ArrayRef<float> quantized,
                               llvm::ArrayRef<float> hessian,
                               unsigned threads = 0);

/// The same with the diagonal of H only, as if the columns of the inputs were
/// not correlated: an estimate. `meanSquares` [cols] has the mean of x^2 of
/// each column; the sums are then for one input.
OutputError estimateOutputError(const WeightView &weight,
                                llvm::ArrayRef<float> quantized,
                                llvm::ArrayRef<float> meanSquares,
                                unsigned threads = 0);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_OUTPUTERROR_H
