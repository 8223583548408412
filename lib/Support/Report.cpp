//===- Report.cpp - What was done to each layer, on paper -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Support/Report.h"
#include "nibble/Quantizer/SchemeName.h"
#include "nibble/Support/AtomicFile.h"
#include "nibble/Support/QuantizationConfig.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

using namespace nibble;
using llvm::StringRef;
namespace json = llvm::json;

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
    writeString("scale_type", layer.scaleType);
    writeString("scale_rule", layer.scaleRule);
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
  writeString("shared_with", layer.sharedWith);
  writeString("reason", layer.reason);
}

void Report::writeJSON(llvm::raw_ostream &os) const {
  ReportTotals totals = getTotals();
  json::OStream json(os, /*IndentSize=*/2);
  json.object([&] {
    json.attribute("model", json::fixUTF8(model));
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
  if (!layer.method.empty())
    rule.options.method = layer.method;
  if (layer.groupSize == -1 || layer.groupSize > 0)
    rule.options.groupSize = layer.groupSize;
  rule.options.symmetric = layer.symmetric;
  rule.options.scaleType = quantizer::symbolizeScaleType(layer.scaleType);
  rule.options.scaleRule = quantizer::symbolizeScaleRule(layer.scaleRule);
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
