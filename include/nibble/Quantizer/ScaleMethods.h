//===- ScaleMethods.h - Scales and limits of a stage's weights --*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// AWQ and SmoothQuant as methods that are told of the activations of layers
// which read the same values, and find what their weights are to be multiplied
// with: ScaleSearch.h has the formulas, ClipSearch.h the search for limits.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_QUANTIZER_SCALEMETHODS_H
#define NIBBLE_QUANTIZER_SCALEMETHODS_H

#include "nibble/Quantizer/ClipSearch.h"
#include "nibble/Quantizer/Method.h"
#include <memory>
#include <optional>

namespace nibble::quantizer {

/// What is known of the activations that weights [N, K] meet. A channel is a
/// column or, for a convolution, `window` columns one after the other.
struct ActivationSummary {
  int64_t columns = 0, window = 1, rows = 0;
  /// By channel: the mean and the largest |x|.
  std::vector<float> meanAbsolute, maxima;
  /// [K, K] the sum of x x^T over all rows; empty: not known. A collector makes
  /// rows shorter here and in `samples` that are much longer than others: the
  /// few tokens with massive activations, as the first of a text, would decide
  /// alone, though a normalization takes their length away again.
  std::vector<float> hessian;
  /// By column the mean of x^2, for where there is no Hessian.
  std::vector<float> meanSquares;
  /// Some rows, evenly spread over all; empty: not known.
  std::vector<float> samples;
};

/// What a method wants to know, beside means and maxima.
struct SummaryNeeds {
  bool hessian = false;
  int64_t samples = 0;
};

/// Makes a summary of rows that come piece by piece.
class ActivationCollector {
public:
  ActivationCollector(int64_t columns, int64_t window,
                      const SummaryNeeds &needs, unsigned threads = 0);

  /// Whole rows.
  void observe(llvm::ArrayRef<float> values);
  /// To be called once, behind the last row.
  ActivationSummary finish();

private:
  void sample(const float *row);
  void findLongest(llvm::ArrayRef<float> values);

  ActivationSummary summary;
  SummaryNeeds needs;
  unsigned threads;
  std::vector<double> sums, squares;
  /// Every `stride`th row is a sample.
  int64_t stride = 1;
  /// Squared length beyond which rows are made shorter; 0: not known yet.
  double longest = 0;
};

/// A layer whose weight [N, K] meets the activations.
struct ScaledLayer {
  WeightView weight;
  QuantizationScheme scheme;
  /// Chooses the codes that errors are those of.
  const Method *method = nullptr;
  /// Whether its weights may be clamped.
  bool mayClip = true;
};

/// What was found for layers that read the same activations.
struct StageScales {
  /// One for each channel; empty: the weights stay as they are.
  std::vector<float> scales;
  /// By layer [N, groups]: magnitudes at which the weight is clamped after it
  /// was multiplied with the scales; empty: nowhere.
  std::vector<std::vector<float>> limits;
  /// Of the scales that were chosen.
  float alpha = 0;
  /// Squared error of all layers' outputs by their squares, with scales and
  /// without; 0 where nothing was measured.
  double loss = 0, unscaledLoss = 0;
};

/// Finds scales of input channels. Results are the same for any number of
/// threads.
class ScaleMethod {
public:
  virtual ~ScaleMethod();

  virtual SummaryNeeds getNeeds() const = 0;
  /// For one layer or more. Without any rows there are no scales.
  virtual llvm::Expected<StageScales> find(llvm::ArrayRef<ScaledLayer> layers,
                                           const ActivationSummary &summary,
                                           unsigned threads = 0) const = 0;
};

struct AWQOptions {
  /// Exponents 0, 1/points, .. are tried.
  int64_t points = 20;
  /// Look for limits of the weights, if there are samples.
  bool clip = true;
  ClipOptions clipping;

  /// Says which option is out of range.
  llvm::Error verify() const;
};

/// Scales with the least error of the layers' outputs, then limits.
std::unique_ptr<ScaleMethod> createAWQ(const AWQOptions &options);

struct SmoothQuantOptions {
  /// How much of the outliers goes into weights, from 0 to 1; absent: the one
  /// of 0, 0.1, .. 1 with the least error of the layers' outputs, for which
  /// there must be samples.
  std::optional<float> alpha = 0.5f;
  /// Rows of activations that errors are measured on.
  int64_t maxSamples = 512;

  /// Reads "0.5", or "auto".
  static llvm::Expected<SmoothQuantOptions> parse(llvm::StringRef alpha);
};

/// Scales that even out activations. Errors are those of weights and, where the
/// scheme says so, of activations with a scale for each row.
std::unique_ptr<ScaleMethod>
createSmoothQuant(const SmoothQuantOptions &options);

} // namespace nibble::quantizer

#endif // NIBBLE_QUANTIZER_SCALEMETHODS_H
