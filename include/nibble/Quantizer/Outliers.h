//===- Outliers.h - LLM.int8 ------------------------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLM.int8 (Dettmers et al., arXiv 2208.07339): weights in 8 bits with a scale
// for each output channel, activations in 8 bits with a scale for each token.
// The few columns of the activations that hold very large values are left out
// of the integer product and multiplied in floating point. Codes and scales are
// those of bitsandbytes (its CPU code, in PyTorch): the factor of the codes is
// (1 / absmax) * 127, rounded twice.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_OUTLIERS_H
#define NIBBLE_QUANTIZER_OUTLIERS_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// The threshold of the paper, and of those who use bitsandbytes.
constexpr float defaultOutlierThreshold = 6;
/// A threshold as users write it: a finite number that is not negative. The
/// error starts with what `text` is.
llvm::Expected<float> parseOutlierThreshold(llvm::StringRef text);
/// The shortest text that is read as `threshold`.
std::string formatOutlierThreshold(float threshold);

/// Code of the largest magnitude.
constexpr float outlierCodes = 127;
/// A row whose magnitudes are all below this has codes of zero: the factor
/// would be beyond the floats.
constexpr float smallestOutlierAbsMax = 0x1p-120f;

/// Factor of the values of a row whose largest magnitude is `absMax`.
inline float getOutlierFactor(float absMax) {
  return absMax < smallestOutlierAbsMax ? 0 : 1 / absMax * outlierCodes;
}

/// Quantizes a weight of R rows and K columns. Weights are rounded to half
/// precision before anything else; then, for each row,
///
///     factor = (1 / absmax) * 127    scale = absmax / 127
///     code = round_half_to_even(w * factor)
///
/// `codes` (R*K) hold code + 128, `scales` (R) the scales; a row of zeros has
/// the scale 0. The result is the same for any number of `threads` (0: one per
/// core).
///
/// Errors: the first weight (in row order) that is not finite in half
/// precision.
llvm::Error quantizeOutlierWeight(const WeightView &weight,
                                  llvm::MutableArrayRef<uint8_t> codes,
                                  llvm::MutableArrayRef<float> scales,
                                  unsigned threads = 0);

/// Quantizes `rows` rows of activations, which are row after row in `input`,
/// and returns the outlier columns in order: those with a magnitude of at least
/// `threshold` in any row. 0 switches them off.
///
/// An outlier does not count for the absmax of its row; other values of an
/// outlier column do. `codes` have the formula of the weights without the 128,
/// but 0 in the outlier columns. `scales` (rows) are absmax / 127. A row with a
/// NaN has the scale NaN; without a threshold one with an infinity has an
/// infinite scale and codes of zero, so that its products are NaN.
std::vector<int32_t>
quantizeOutlierActivations(llvm::ArrayRef<float> input, int64_t rows,
                           float threshold, llvm::MutableArrayRef<int8_t> codes,
                           llvm::MutableArrayRef<float> scales);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_OUTLIERS_H
