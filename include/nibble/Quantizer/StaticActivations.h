//===- StaticActivations.h - Activations with scales from data --*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scales of tensors whose ranges are known before the model runs, and what a
// layer of 8-bit weights and activations needs beside them: a bias of 32 bits
// and its correction.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_STATICACTIVATIONS_H
#define NIBBLE_QUANTIZER_STATICACTIVATIONS_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// The values that a tensor takes, as far as they are represented.
struct ValueRange {
  double low = 0, high = 0;

  /// The range that holds both.
  ValueRange join(const ValueRange &other) const;
};

/// Codes of activations, as `activation_type` and `ActivationSymmetric` of ONNX
/// Runtime's quantizer choose them.
struct ActivationFormat {
  bool isUnsigned = true;
  bool symmetric = false;

  int getLowest() const { return isUnsigned ? 0 : symmetric ? -127 : -128; }
  int getHighest() const { return isUnsigned ? 255 : 127; }
};

/// What codes stand for: `x = scale * (code - zero)`.
struct ActivationGrid {
  float scale = 1;
  int zero = 0;
};

/// The grid whose codes reach from one end of `range` to the other. Zero is
/// always in the range, because padding and Relu need a code for it:
///
///     asymmetric  low = min(low, 0), high = max(high, 0)
///                 scale = (high - low) / (last - first)
///                 zero = clamp(round(first - low / scale), first, last)
///     symmetric   high = max(|low|, |high|), low = -high; zero is the middle
///
/// A range of zeros gets the scale 1. `range` must be finite.
ActivationGrid chooseGrid(const ValueRange &range,
                          const ActivationFormat &format);

/// The weight of a layer in signed bytes, one scale for each row.
struct Int8Weight {
  int64_t rows = 0, cols = 0;
  std::vector<int8_t> codes; ///< [rows, cols], -127 to 127
  std::vector<float> scales; ///< [rows]
};

/// Rounds `weight` with the scale rule `rule` (absmax or mse). `minimumScales`,
/// [rows] or empty, are scales that a row must not be below: those with which
/// the bias still fits in 32 bits.
///
/// Errors: a weight that is not finite, named by row and column.
llvm::Expected<Int8Weight>
quantizeInt8(const WeightView &weight, ScaleRule rule,
             llvm::ArrayRef<float> minimumScales = {});

/// The least scales [rows] with which all that are stored are normal numbers of
/// float32, `scale`, `factor * scale` and `inputScale * factor * scale`, and
/// `bias`, [rows] or empty, has at most 2^30 steps of the last, so that sums do
/// not overflow. `factor` multiplies the weight, as alpha of Gemm does; it and
/// `inputScale` are positive and normal.
std::vector<float> getMinimumScales(int64_t rows, llvm::ArrayRef<float> bias,
                                    float inputScale, float factor = 1);

/// `bias` [rows] in steps of `inputScale * weightScales[row]`, half to even,
/// saturated.
std::vector<int32_t> quantizeBias(llvm::ArrayRef<float> bias, double inputScale,
                                  llvm::ArrayRef<float> weightScales);

/// Which input channel the columns of a weight belong to. A matrix has as many
/// channels as columns and a window of 1; the weight of a convolution has
/// `window` = KH * KW columns for each of its IC / groups channels, and rows of
/// group g read the channels of group g.
struct ColumnChannels {
  int64_t window = 1, groups = 1;
};

/// By how much rounding the weight changes the mean output of each row
/// (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
/// Correction, 2019, section 4.2):
///
///     shift[r] = sum_k (scale[r] * code[r, k] - factor * w[r, k]) * mean[k]
///
/// `factor` is what the scales have and the weight has not, as alpha of Gemm.
/// `mean` is that of the input: of each channel, or of each column where there
/// is one group. The caller subtracts `shift` from the bias. Empty if `mean`
/// has another size.
std::vector<double> getMeanShift(const WeightView &weight,
                                 const Int8Weight &quantized,
                                 const ColumnChannels &channels,
                                 llvm::ArrayRef<float> mean, float factor = 1);

/// How far the output of a layer stands above the noise that rounding its input
/// to steps of `inputScale` adds, in dB:
///
///     10 log10(sum_rk w[r, k]^2 E[x_k^2] / sum_rk w[r, k]^2 inputScale^2 / 12)
///
/// as if channels and roundings were not correlated. What an average over the
/// input hides is seen: large channels that the weights hardly use, beside
/// small ones that matter. `meanSquare` is that of each channel, or of each
/// column where there is one group. Nothing if it has another size; infinite
/// for a weight of zeros.
std::optional<double> predictSQNR(const WeightView &weight,
                                  const ColumnChannels &channels,
                                  llvm::ArrayRef<float> meanSquare,
                                  float inputScale);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_STATICACTIVATIONS_H
