//===- ScaleSearch.h - Scales of input channels -----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Columns of a weight may be multiplied with any s > 0 if what they meet is
// divided by it: (W diag(s)) (diag(1/s) x) = W x. The product is the same, the
// errors of quantization are not.
//
// AWQ (Lin et al., "AWQ: Activation-aware Weight Quantization", 2023) looks for
// scales that make important columns fine; SmoothQuant (Xiao et al., 2022) for
// those that take the outliers of activations, which are to be quantized too,
// into the weight. Everything here is a function of a layer's weights and
// statistics; what an error costs is asked of the caller.
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_SCALESEARCH_H
#define NIBBLE_QUANTIZER_SCALESEARCH_H

#include "nibble/Quantizer/Method.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace nibble::quantizer {

/// For each of K columns: the mean, over the rows of all weights [N_i, K], of
/// |w| divided by the largest |w| of its group in its row. `scheme` gives the
/// group.
std::vector<float> getRelativeMagnitudes(llvm::ArrayRef<WeightView> weights,
                                         const QuantizationScheme &scheme,
                                         unsigned threads = 0);

/// For each of K columns: the largest |w| of all weights [N_i, K].
std::vector<float> getColumnMaxima(llvm::ArrayRef<WeightView> weights,
                                   unsigned threads = 0);

/// AWQ's scales for one alpha, from x, the mean |x| of each column, and w, its
/// `getRelativeMagnitudes`; empty: without them (AWQ's paper, and "duo scaling"
/// off in AutoAWQ):
///
///     s = max(x^alpha / (w^(1 - alpha) + 1e-4), 1e-4)   or  max(x^alpha, 1e-4)
///
/// divided by sqrt(max s * min s). Columns without any activation count as the
/// least of the others.
std::vector<float> getAWQScales(llvm::ArrayRef<float> activations,
                                llvm::ArrayRef<float> weights, float alpha);

/// SmoothQuant's scales: s = max(x^alpha / w^(1 - alpha), 1e-5), x and w the
/// largest magnitudes of each column. Columns without any activation keep 1.
std::vector<float> getSmoothQuantScales(llvm::ArrayRef<float> activations,
                                        llvm::ArrayRef<float> weights,
                                        float alpha);

/// What the error is with these scales; the less, the better.
using ScaleLossFn =
    llvm::function_ref<llvm::Expected<double>(llvm::ArrayRef<float> scales)>;

struct ScaleChoice {
  /// [K]; empty if no scales are better than none.
  std::vector<float> scales;
  /// That of `scales`.
  float alpha = 0;
  /// Loss with `scales` and without any.
  double loss = 0, unscaledLoss = 0;
};

/// Tries alpha = 0, 1/points, .. (points - 1)/points, and no scales.
llvm::Expected<ScaleChoice> searchAWQScales(llvm::ArrayRef<float> activations,
                                            llvm::ArrayRef<float> weights,
                                            ScaleLossFn loss, int points = 20);

/// Tries alpha = 0, 1/steps, .. 1, and no scales.
llvm::Expected<ScaleChoice>
searchSmoothQuantScales(llvm::ArrayRef<float> activations,
                        llvm::ArrayRef<float> weights, ScaleLossFn loss,
                        int steps = 10);

/// W diag(s) as [rows, cols].
std::vector<float> scaleColumns(const WeightView &weight,
                                llvm::ArrayRef<float> scales,
                                unsigned threads = 0);

/// The weight that has the errors of quantizing with scales, for losses:
/// Q(W diag(s)) diag(1/s), Q by `method` and `input`, whose importance and
/// Hessian are those of the activations as they are. [rows, cols]
llvm::Expected<std::vector<float>> quantizeScaled(const Method &method,
                                                  const MethodInput &input,
                                                  llvm::ArrayRef<float> scales);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_SCALESEARCH_H
