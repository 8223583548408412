//===- Report.cpp - What was done to each layer, on paper -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Report.h"
#include "ReportChoice.h"
#include "nibble/Quantizer/MethodChain.h"
#include "nibble/Quantizer/SchemeName.h"
#include "nibble/Support/AtomicFile.h"
#include "nibble/Support/QuantizationConfig.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace nibble;
using llvm::StringRef;
namespace json = llvm::json;

Spread Spread::of(llvm::ArrayRef<double> values) {
  if (values.empty())
    return {};
  Spread spread;
  double count = values.size();
  spread.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (double value : values)
    squares += (value - spread.mean) * (value - spread.mean);
  if (count > 1)
    spread.deviation = std::sqrt(squares / (count - 1));
  spread.least = *std::min_element(values.begin(), values.end());
  return spread;
}

StringRef nibble::stringifyOutputErrorBasis(OutputErrorBasis basis) {
  switch (basis) {
  case OutputErrorBasis::None:
    return "none";
  case OutputErrorBasis::Hessian:
    return "hessian";
  case OutputErrorBasis::MeanSquares:
    return "mean-squares";
  }
  llvm_unreachable("unknown basis");
}

OutputErrorBasis nibble::symbolizeOutputErrorBasis(StringRef name) {
  for (OutputErrorBasis basis :
       {OutputErrorBasis::Hessian, OutputErrorBasis::MeanSquares})
    if (name == stringifyOutputErrorBasis(basis))
      return basis;
  return OutputErrorBasis::None;
}

std::optional<double> LayerReport::getOutputSQNR() const {
  if (!outputError || *outputError <= 0)
    return std::nullopt;
  return -10 * std::log10(*outputError);
}

ReportTotals Report::getTotals() const {
  ReportTotals totals;
  for (const LayerReport &layer : layers) {
    ++totals.layers;
    totals.quantizedLayers += layer.isQuantized();
    if (layer.sqnr && (!totals.worst || *layer.sqnr < *totals.worst->sqnr))
      totals.worst = &layer;
    if (!layer.sharedWith.empty())
      continue;
    totals.numWeights += layer.numWeights;
    totals.floatBytes += layer.floatBytes;
    totals.bytes += layer.bytes;
  }
  return totals;
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static void writeMeasured(json::OStream &json, const MeasuredOutput &measured) {
  auto writeSpread = [&](StringRef key, const Spread &spread) {
    json.attributeObject(key, [&] {
      json.attribute("mean", spread.mean);
      json.attribute("standard_deviation", spread.deviation);
      json.attribute("least", spread.least);
    });
  };
  json.attributeObject("measured_output", [&] {
    json.attribute("samples", measured.samples);
    writeSpread("sqnr_db", measured.sqnr);
    writeSpread("cosine", measured.cosine);
  });
}

static void writeHistogram(json::OStream &json, StringRef key,
                           const quantizer::Histogram &histogram) {
  json.attributeObject(key, [&] {
    json.attribute("limit", histogram.limit);
    json.attributeBegin("counts");
    // On one line: the numbers are many and small.
    std::string counts;
    for (int64_t count : histogram.counts)
      counts += (counts.empty() ? "[" : ", ") + std::to_string(count);
    json.rawValue(counts + "]");
    json.attributeEnd();
  });
}

static void writeLayer(json::OStream &json, const LayerReport &layer) {
  // Names come from files and need not be UTF-8.
  auto writeString = [&](StringRef key, StringRef value) {
    if (!value.empty())
      json.attribute(key, json::fixUTF8(value));
  };
  auto writeDouble = [&](StringRef key, std::optional<double> value) {
    json.attribute(key, value ? json::Value(*value) : json::Value(nullptr));
  };
  json.attribute("name", json::fixUTF8(layer.name));
  writeString("operator", layer.operatorType);
  if (!layer.shape.empty())
    json.attributeArray("shape", [&] {
      for (int64_t size : layer.shape)
        json.value(size);
    });
  json.attribute("scheme", layer.scheme);
  if (layer.isQuantized()) {
    writeString("method", layer.method);
    json.attribute("group_size", layer.groupSize);
    json.attribute("symmetric", layer.symmetric);
    if (layer.doubleQuant)
      json.attribute("double_quant", true);
    writeString("scale_type", layer.scaleType);
    writeString("scale_rule", layer.scaleRule);
    if (layer.outlierThreshold)
      json.attribute("outlier_threshold", *layer.outlierThreshold);
    if (!layer.methodOptions.empty())
      json.attributeObject("options", [&] {
        for (const auto &[name, value] : layer.methodOptions)
          writeString(name, value);
      });
  }
  json.attribute("weights", layer.numWeights);
  json.attribute("bits_per_weight", layer.getBitsPerWeight());
  json.attribute("float_bytes", layer.floatBytes);
  json.attribute("bytes", layer.bytes);
  if (layer.isQuantized()) {
    writeDouble("sqnr_db", layer.sqnr);
    writeDouble("cosine", layer.cosine);
    writeDouble("max_abs_error", layer.maxAbsError);
  }
  if (layer.outputErrorBasis != OutputErrorBasis::None)
    json.attributeObject("output_error", [&] {
      writeDouble("relative", layer.outputError);
      writeDouble("sqnr_db", layer.getOutputSQNR());
      json.attribute("basis",
                     stringifyOutputErrorBasis(layer.outputErrorBasis));
    });
  if (layer.rounding)
    json.attributeObject("rounding", [&] {
      json.attribute("calibration_rows", layer.rounding->rows);
      if (layer.rounding->fallback.empty()) {
        writeDouble("damp", layer.rounding->damp);
        writeDouble("loss", layer.rounding->loss);
      }
      writeString("fallback", layer.rounding->fallback);
    });
  if (layer.measured)
    writeMeasured(json, *layer.measured);
  if (layer.histograms)
    json.attributeObject("histograms", [&] {
      writeHistogram(json, "before", layer.histograms->before);
      writeHistogram(json, "after", layer.histograms->after);
      writeHistogram(json, "errors", layer.histograms->errors);
    });
  writeString("shared_with", layer.sharedWith);
  writeString("reason", layer.reason);
}

void Report::writeJSON(llvm::raw_ostream &os) const {
  ReportTotals totals = getTotals();
  json::OStream json(os, /*IndentSize=*/2);
  json.object([&] {
    json.attribute("model", json::fixUTF8(model));
    if (!calibration.empty())
      json.attribute("calibration", json::fixUTF8(calibration));
    if (!data.empty())
      json.attribute("data", json::fixUTF8(data));
    json.attributeObject("totals", [&] {
      json.attribute("layers", totals.layers);
      json.attribute("quantized_layers", totals.quantizedLayers);
      json.attribute("weights", totals.numWeights);
      json.attribute("bits_per_weight", totals.getBitsPerWeight());
      json.attribute("float_bytes", totals.floatBytes);
      json.attribute("bytes", totals.bytes);
      if (totals.worst) {
        json.attribute("worst_sqnr_db", *totals.worst->sqnr);
        json.attribute("worst_layer", json::fixUTF8(totals.worst->name));
      }
    });
    if (!outputs.empty())
      json.attributeArray("outputs", [&] {
        for (const OutputReport &output : outputs)
          json.object([&] {
            json.attribute("name", json::fixUTF8(output.name));
            writeMeasured(json, output.measured);
          });
      });
    if (choice)
      json.attributeObject("choice", [&] { writeChoice(json, *choice); });
    json.attributeArray("layers", [&] {
      for (const LayerReport &layer : layers)
        json.object([&] { writeLayer(json, layer); });
    });
  });
  os << '\n';
}

//===----------------------------------------------------------------------===//
// YAML
//===----------------------------------------------------------------------===//

static std::string describeLayer(const LayerReport &layer) {
  std::string text = layer.operatorType;
  for (size_t i = 0; i < layer.shape.size(); ++i)
    text += llvm::formatv("{0}{1}", i ? "x" : " ", layer.shape[i]);
  text +=
      llvm::formatv(", {0:f3} bits per weight, {1} of {2} bytes",
                    layer.getBitsPerWeight(), layer.bytes, layer.floatBytes);
  if (layer.sqnr)
    text += llvm::formatv(", SQNR {0:f2} dB", *layer.sqnr);
  if (std::optional<double> sqnr = layer.getOutputSQNR())
    text += llvm::formatv(
        ", output error {0:f2} dB{1}", *sqnr,
        layer.outputErrorBasis == OutputErrorBasis::MeanSquares ? " (estimate)"
                                                                : "");
  if (layer.measured)
    text +=
        llvm::formatv(", measured output {0:f2} +- {1:f2} dB, cosine {2:f6}",
                      layer.measured->sqnr.mean, layer.measured->sqnr.deviation,
                      layer.measured->cosine.mean);
  if (layer.rounding && layer.rounding->loss)
    text += llvm::formatv(", loss {0} over {1} rows with damping {2}",
                          llvm::format("%.4g", *layer.rounding->loss),
                          layer.rounding->rows,
                          llvm::format("%g", layer.rounding->damp.value_or(0)));
  if (layer.rounding && !layer.rounding->fallback.empty())
    text += ", rounded to nearest: " + layer.rounding->fallback;
  if (!layer.sharedWith.empty())
    text += ", the weight of " + layer.sharedWith;
  if (!layer.reason.empty())
    text += ": " + layer.reason;
  return text;
}

static ConfigRule makeRule(const LayerReport &layer) {
  ConfigRule rule;
  rule.layers = {escapeGlob(layer.name)};
  rule.comment = describeLayer(layer);
  rule.options.scheme = layer.scheme;
  if (!layer.isQuantized())
    return rule;
  if (!layer.method.empty()) {
    // A plugin may have a method that names itself as it likes.
    auto chain = quantizer::MethodChain::parse(layer.method);
    if (!chain)
      llvm::consumeError(chain.takeError());
    rule.options.method = chain ? chain->method : layer.method;
    if (chain)
      rule.options.prepare = chain->prepare;
  }
  if (layer.groupSize == -1 || layer.groupSize > 0)
    rule.options.groupSize = layer.groupSize;
  rule.options.symmetric = layer.symmetric;
  if (layer.doubleQuant)
    rule.options.doubleQuant = true;
  rule.options.scaleType = quantizer::symbolizeScaleType(layer.scaleType);
  rule.options.scaleRule = quantizer::symbolizeScaleRule(layer.scaleRule);
  rule.options.outlierThreshold = layer.outlierThreshold;
  rule.options.methodOptions = layer.methodOptions;
  return rule;
}

void Report::writeYAML(llvm::raw_ostream &os) const {
  ReportTotals totals = getTotals();
  QuantizationConfig config;
  std::string comment = llvm::formatv(
      "Layers of {0}: {1} of {2} quantized, {3:f3} bits per weight, {4} of {5} "
      "bytes",
      model, totals.quantizedLayers, totals.layers, totals.getBitsPerWeight(),
      totals.bytes, totals.floatBytes);
  for (const OutputReport &output : outputs)
    comment += llvm::formatv(
        "\nOutput {0}: measured {1:f2} +- {2:f2} dB, cosine {3:f6} over {4} "
        "samples",
        output.name, output.measured.sqnr.mean, output.measured.sqnr.deviation,
        output.measured.cosine.mean, output.measured.samples);
  for (const LayerReport &layer : layers) {
    // A scheme that a plugin made has no name that a configuration knows.
    if (auto known = quantizer::parseSchemeName(layer.scheme); !known) {
      llvm::consumeError(known.takeError());
      comment += "\n" + layer.name + " (" + layer.scheme +
                 "): " + describeLayer(layer);
      continue;
    }
    // Escaped names are valid globs.
    llvm::cantFail(config.addRule(makeRule(layer)));
  }
  config.setComment(comment);
  config.write(os);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

using Writer = void (Report::*)(llvm::raw_ostream &) const;

static Writer getWriter(StringRef path) {
  StringRef extension = llvm::sys::path::extension(path);
  if (extension == ".json")
    return &Report::writeJSON;
  if (extension == ".yaml" || extension == ".yml")
    return &Report::writeYAML;
  if (extension == ".html" || extension == ".htm")
    return &Report::writeHTML;
  return nullptr;
}

llvm::Error nibble::checkReportPath(StringRef path) {
  if (getWriter(path))
    return llvm::Error::success();
  return llvm::createStringError("report '" + path +
                                 "' has no known form: name it X.json, X.yaml "
                                 "or X.html");
}

llvm::Error nibble::writeReport(const Report &report, StringRef path) {
  if (llvm::Error error = checkReportPath(path))
    return error;
  llvm::Expected<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return file.takeError();
  (report.*getWriter(path))(file->os());
  return file->commit();
}
