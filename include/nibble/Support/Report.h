//===- Report.h - What was done to each layer, on paper ---------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_REPORT_H
#define NIBBLE_SUPPORT_REPORT_H

#include "nibble/Quantizer/Histogram.h"
#include "nibble/Quantizer/Method.h"
#include "nibble/Support/ChoiceReport.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nibble {

/// Figures of several samples: their mean, their standard deviation (0 for one
/// sample) and the least of them.
struct Spread {
  double mean = 0, deviation = 0, least = 0;

  static Spread of(llvm::ArrayRef<double> values);
};

/// How far a tensor of the quantized model is from the float model's, for each
/// sample. SQNR is in dB, within +-`maxMeasuredSQNR`: what is equal counts as
/// that much.
struct MeasuredOutput {
  int64_t samples = 0;
  Spread sqnr, cosine;
};
constexpr double maxMeasuredSQNR = 160;

/// An output of the whole model.
struct OutputReport {
  std::string name;
  MeasuredOutput measured;
};

/// What the error of a layer's output was computed from, if it was.
enum class OutputErrorBasis {
  None,
  /// The sum of x x' over the calibration data: exact for the weight's error.
  Hessian,
  /// The mean of x^2 of each input channel: an estimate, as if channels were
  /// not correlated.
  MeanSquares
};
llvm::StringRef stringifyOutputErrorBasis(OutputErrorBasis basis);
OutputErrorBasis symbolizeOutputErrorBasis(llvm::StringRef name);

/// What a method found that rounds a weight for the inputs of calibration data.
struct CalibratedRounding {
  /// Rows of data that the layer was multiplied with.
  int64_t rows = 0;
  /// What was added to the diagonal of the Hessian, as a part of its mean, and
  /// the squared error of the layer's output, summed over its channels and
  /// averaged over the rows. Absent for a fallback.
  std::optional<double> damp, loss;
  /// Why the weight was rounded to nearest; empty if it was not.
  std::string fallback;
};

/// What quantization did to the weight of one operation.
struct LayerReport {
  /// Layer name, ONNX operator type, scheme as users write it, method; the
  /// scheme is "none" for a weight that stays float.
  std::string name, operatorType, scheme = "none", method;
  /// Why the weight stays float, empty otherwise.
  std::string reason;
  /// Name of the layer before this one that uses the same weight, whose bytes
  /// are not counted again; empty if there is none.
  std::string sharedWith;
  /// Dimensions of the float weight; empty if they are not known.
  std::vector<int64_t> shape;
  /// Options that made the scheme, as in a configuration file.
  int64_t groupSize = 0;
  bool symmetric = true, doubleQuant = false;
  std::string scaleType, scaleRule;
  /// Of LLM.int8.
  std::optional<float> outlierThreshold;
  /// Options of the method that are not as by default.
  quantizer::MethodOptions methodOptions;
  /// Elements of the weight, its bytes in float and as it is now.
  int64_t numWeights = 0, floatBytes = 0, bytes = 0;
  /// 10 log10(sum w^2 / sum (w - w')^2) in dB, the cosine of w and w', and the
  /// largest |w - w'|, for the weight w and its quantized value w'. Absent for
  /// a float weight; the SQNR of an exact result is infinite and absent too.
  std::optional<double> sqnr, cosine, maxAbsError;
  /// sum |(W - W') x|^2 / sum |W x|^2 over the calibration data's inputs x of
  /// the layer, and from which statistics it comes.
  std::optional<double> outputError;
  OutputErrorBasis outputErrorBasis = OutputErrorBasis::None;
  /// The layer's output in the quantized model, with the errors of all layers
  /// before it and of its activations, beside the float model's.
  std::optional<MeasuredOutput> measured;
  std::optional<quantizer::WeightHistograms> histograms;
  std::optional<CalibratedRounding> rounding;

  bool isQuantized() const { return scheme != "none"; }
  /// Bits that one weight takes in truth, scales and zeros counted.
  double getBitsPerWeight() const {
    return numWeights ? 8.0 * bytes / numWeights : 0.0;
  }
  /// `outputError` in dB, like an SQNR; none if it is not known or zero.
  std::optional<double> getOutputSQNR() const;
};

/// Sums over layers; a shared weight counts once.
struct ReportTotals {
  int64_t layers = 0, quantizedLayers = 0;
  int64_t numWeights = 0, floatBytes = 0, bytes = 0;
  /// The layer with the least SQNR, if any has one.
  const LayerReport *worst = nullptr;

  double getBitsPerWeight() const {
    return numWeights ? 8.0 * bytes / numWeights : 0.0;
  }
};

/// What `--report=FILE` writes.
struct Report {
  /// What the report is about: the model's file name.
  std::string model;
  std::vector<LayerReport> layers;
  /// Outputs of the model; empty if nothing was measured.
  std::vector<OutputReport> outputs;
  /// Of `--quantize=auto`.
  std::optional<ChoiceReport> choice;
  /// File of statistics, and paths of samples, that errors of outputs are of;
  /// empty without.
  std::string calibration, data;

  ReportTotals getTotals() const;

  /// One object with "model", "totals" and "layers".
  void writeJSON(llvm::raw_ostream &os) const;
  /// A configuration that makes the same choices again, one rule per layer with
  /// its figures as a comment.
  void writeYAML(llvm::raw_ostream &os) const;
  /// A page with plots and a table that refers to no other file.
  void writeHTML(llvm::raw_ostream &os) const;
};

/// An error unless `path` ends in .json, .yaml, .yml, .html or .htm.
llvm::Error checkReportPath(llvm::StringRef path);

/// Writes the report in the form that the ending of `path` names, as a whole or
/// not at all.
llvm::Error writeReport(const Report &report, llvm::StringRef path);

} // namespace nibble

#endif // NIBBLE_SUPPORT_REPORT_H
