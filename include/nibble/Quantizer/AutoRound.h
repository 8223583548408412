//===- AutoRound.h - Roundings and ranges learned by gradients -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sign gradient descent on how each weight is rounded and how wide the range of
// each group is, as in AutoRound (Cheng et al., "Optimize Weight Rounding via
// Signed Gradient Descent for the Quantization of LLMs", 2023):
//
//   code = clamp(round(w / s + v) + zero, 0, 2^b - 1),  v in [-1/2, 1/2]
//   s, zero from the range [a min, b max] of the group,  a and b in [0, 1]
//
// What is minimized, and how its derivative by the quantized weights is found,
// is the caller's: the error of a block's outputs, or of one layer.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_AUTOROUND_H
#define NIBBLE_QUANTIZER_AUTOROUND_H

#include "nibble/Quantizer/Scheme.h"

namespace nibble::quantizer {

/// Names, meanings and defaults are AutoRound's.
struct AutoRoundOptions {
  /// Steps of descent; 0 rounds to nearest.
  unsigned iterations = 200;
  /// Length of the first step, which then falls linearly to 0; 0: 1 /
  /// iterations. `rangeRate` is that of the ranges; 0: as `rate`.
  double rate = 0, rangeRate = 0;
  /// Learn the ranges too.
  bool learnRange = true;
  /// In steps of the codes: see RoundingLearner::createFrom.
  double startMargin = 0.25;

  /// Says which option is out of range.
  llvm::Error verify() const;
};

/// Learns one weight. All of its memory is about four times that of the weight.
/// Results are the same for any number of threads.
class RoundingLearner {
public:
  /// Success if the scheme can be learned: integer codes, one level of scales,
  /// no zeros but integers, and a scale rule without a search.
  static llvm::Error supports(const QuantizationScheme &scheme);

  /// Copies `weight`, which must be finite, as quantizeRTN demands it.
  static llvm::Expected<RoundingLearner>
  create(const WeightView &weight, const QuantizationScheme &scheme,
         const AutoRoundOptions &options, unsigned threads = 0);

  /// The same, from the codes, scales and zeros that another method chose for
  /// `weight`. A weight counts as the nearest one that lies `startMargin`
  /// inside of what its code stands for, and the width of a range then changes
  /// what codes stand for, not the codes: they are those of `start` until a
  /// step changes their rounding. `start` has no group index.
  static llvm::Expected<RoundingLearner>
  createFrom(const WeightView &weight, const QuantizedWeight &start,
             const AutoRoundOptions &options, unsigned threads = 0);

  /// Writes the values of the codes that the parameters now give to `out`
  /// [rows, cols].
  void dequantize(llvm::MutableArrayRef<float> out) const;

  /// One step against `gradient` [rows, cols], the derivative of the loss by
  /// what `dequantize` wrote. After `iterations` steps there are no more.
  void step(llvm::ArrayRef<float> gradient);
  unsigned getNumSteps() const { return steps; }

  /// Remembers the parameters as they are, and goes back to them.
  void keep();
  void restore();

  /// The codes that the parameters give. `result` has the scheme and the sizes.
  llvm::Error quantize(QuantizedWeight &result) const;

private:
  RoundingLearner() = default;

  /// Parameters, as they are or were.
  struct Parameters {
    std::vector<float> offsets;   ///< [rows, cols]
    std::vector<float> low, high; ///< [rows, groups], parts of the range.
  };
  struct Group;
  void startAt(const QuantizedWeight &start);
  Group getGroup(int64_t row, int64_t group) const;
  void stepGroup(int64_t row, int64_t group, const float *gradient, float rate,
                 float rangeRate);

  QuantizationScheme scheme;
  AutoRoundOptions options;
  unsigned threads = 0, steps = 0;
  int64_t rows = 0, cols = 0, groups = 0, groupLength = 0;
  std::vector<float> weight;
  /// Of each group: what weights are divided by before they are rounded; empty
  /// if that is its scale.
  std::vector<float> units;
  /// Smallest and largest weight of each group, zero in between.
  std::vector<float> minima, maxima;
  Parameters now, kept;
};

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_AUTOROUND_H
