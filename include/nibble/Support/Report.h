//===- Report.h - What was done to each layer, on paper ---------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_REPORT_H
#define NIBBLE_SUPPORT_REPORT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nibble {

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
  bool symmetric = true;
  std::string scaleType, scaleRule;
  /// Elements of the weight, its bytes in float and as it is now.
  int64_t numWeights = 0, floatBytes = 0, bytes = 0;
  /// 10 log10(sum w^2 / sum (w - w')^2) in dB, the cosine of w and w', and the
  /// largest |w - w'|, for the weight w and its quantized value w'. Absent for
  /// a float weight; the SQNR of an exact result is infinite and absent too.
  std::optional<double> sqnr, cosine, maxAbsError;

  bool isQuantized() const { return scheme != "none"; }
  /// Bits that one weight takes in truth, scales and zeros counted.
  double getBitsPerWeight() const {
    return numWeights ? 8.0 * bytes / numWeights : 0.0;
  }
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
