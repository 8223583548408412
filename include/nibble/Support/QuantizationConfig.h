//===- QuantizationConfig.h - Which layer becomes what ----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_SUPPORT_QUANTIZATIONCONFIG_H
#define NIBBLE_SUPPORT_QUANTIZATIONCONFIG_H

#include "nibble/Quantizer/Method.h"
#include "nibble/Quantizer/Outliers.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nibble {

/// How one layer is quantized. Default: not at all.
struct LayerChoice {
  /// An available name of `quantizer::getSchemeNames`; "none" keeps floats.
  std::string scheme = "none";
  /// What chooses codes, and what prepares the weight before.
  std::string method = "rtn";
  std::vector<std::string> prepare;
  /// Absent: 128, and 64 for NF4 and FP4.
  std::optional<int64_t> groupSize;
  bool symmetric = true;
  /// Absent: f16, and f32 for NF4 and FP4.
  std::optional<quantizer::ScaleType> scaleType;
  /// Absent: `quantizer::getDefaultScaleRule`.
  std::optional<quantizer::ScaleRule> scaleRule;
  /// Of LLM.int8.
  float outlierThreshold = quantizer::defaultOutlierThreshold;
  /// Scales in 8 bits, with a float32 scale for 256 of them.
  bool doubleQuant = false;
  /// Options of the method that rules set; others are those of the command
  /// line.
  quantizer::MethodOptions methodOptions;
  /// Where the scheme comes from, for reports: "command line", or "FILE:LINE".
  std::string origin = "command line";

  bool isQuantized() const { return scheme != "none"; }
  /// One of several schemes is to be chosen: see SchemeChoice.h.
  bool isOpen() const { return scheme == "auto"; }
  /// The scheme for the quantizer; the choice must be a quantized one that is
  /// not open.
  quantizer::QuantizationScheme getScheme() const;
};

/// The options that a rule sets. What it leaves open stays as the rules before
/// it, or the command line, have it.
struct LayerOptions {
  std::optional<std::string> scheme;
  std::optional<std::string> method;
  /// With a method: what comes before it.
  std::vector<std::string> prepare;
  std::optional<int64_t> groupSize;
  std::optional<bool> symmetric;
  std::optional<quantizer::ScaleType> scaleType;
  std::optional<quantizer::ScaleRule> scaleRule;
  std::optional<float> outlierThreshold;
  std::optional<bool> doubleQuant;
  quantizer::MethodOptions methodOptions;

  void applyTo(LayerChoice &choice) const;
};

/// Options for all layers that it selects: those with a name that one of
/// `layers` or `regexes` matches as a whole, and an operator type that is one
/// of `operators`; an empty list selects all.
struct ConfigRule {
  std::vector<std::string> layers;    ///< globs; `*` matches dots and slashes
  std::vector<std::string> regexes;   ///< POSIX extended
  std::vector<std::string> operators; ///< ONNX operator types
  LayerOptions options;
  unsigned line = 0;
  /// Written above the rule.
  std::string comment;
};

/// A configuration file:
///
///     version: 1
///     default: {scheme: W4A16, group-size: 128}    # optional: every layer
///     rules:
///       - layers: "model.layers.*.mlp.*"           # or a list of globs
///         scheme: W8A16
///       - regex: ".*lm_head"
///         skip: true                               # the same as scheme: none
///       - operator: Conv
///         asymmetric: true
///
/// A method may be a list: [awq, gptq]. Options: scheme, method, group-size,
/// symmetric, asymmetric, scale-type, scale-rule, outlier-threshold,
/// double-quant (or double_quant), skip, and those of methods
/// (`Method::options`), which layers with other methods ignore. Rules apply in
/// order, a later one wins.
class QuantizationConfig {
public:
  QuantizationConfig();
  QuantizationConfig(QuantizationConfig &&);
  QuantizationConfig &operator=(QuantizationConfig &&);
  ~QuantizationConfig();

  /// Reads YAML. The error is "NAME:LINE:COLUMN: what is wrong".
  static llvm::Expected<QuantizationConfig> parse(llvm::StringRef text,
                                                  llvm::StringRef fileName);
  static llvm::Expected<QuantizationConfig> load(llvm::StringRef path);

  /// What the file makes of `commandLine` for a layer with these names (its
  /// own, those of fused layers, that of its initializer) and operator type.
  /// `useDefault` is false for a layer that only a rule of its own may change:
  /// the embedding and the head of a language model.
  LayerChoice resolve(const LayerChoice &commandLine,
                      llvm::ArrayRef<llvm::StringRef> layerNames,
                      llvm::StringRef operatorType, bool useDefault = true);

  /// One line for each rule that no call of `resolve` matched: where it is and
  /// what it looks for.
  std::vector<std::string> getUnmatchedRules() const;

  /// Lines of the rules that a call of `resolve` matched; and the same for
  /// rules that another reader of the file has matched.
  std::vector<unsigned> getMatchedLines() const;
  void setMatchedLines(llvm::ArrayRef<int64_t> lines);

  /// Adds a rule, as when a report is written as a configuration. Its globs and
  /// regular expressions must be valid.
  llvm::Error addRule(ConfigRule rule);
  llvm::ArrayRef<ConfigRule> getRules() const { return rules; }

  /// Lines to write at the top of the file.
  void setComment(llvm::StringRef text) { comment = text.str(); }
  /// Writes a file that `parse` reads as the same configuration.
  void write(llvm::raw_ostream &os) const;

private:
  class Matcher;
  class Reader;

  std::string fileName, comment;
  LayerOptions defaults;
  unsigned defaultsLine = 0;
  std::vector<ConfigRule> rules;
  /// One for each rule.
  std::vector<std::unique_ptr<Matcher>> matchers;
};

/// A glob that matches `name` alone.
std::string escapeGlob(llvm::StringRef name);

} // namespace nibble

#endif // NIBBLE_SUPPORT_QUANTIZATIONCONFIG_H
