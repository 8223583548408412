//===- QuantizationReport.cpp - What was done to each layer ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/Transforms/QuantizationReport.h"

#include "nibble/Dialect/Nibble/IR/ConstantData.h"

using namespace mlir;

namespace nibble {
namespace {

int64_t getBytes(Value value) {
  auto type = value ? dyn_cast<ShapedType>(value.getType()) : ShapedType();
  return type && type.hasStaticShape() ? getStorageBytes(type) : 0;
}

/// What the operation itself tells: sizes, and the scheme if it has one.
LayerReport describe(QuantizableOpInterface op) {
  LayerReport report;
  report.name = op.getLayerName().str();
  report.operatorType = op.getOperatorType().str();
  if (SchemeAttr scheme = op.getQuantizationScheme()) {
    report.scheme = scheme.getUserName();
    report.groupSize = scheme.getGroup();
    report.symmetric = !scheme.hasZeros();
  } else {
    auto type = cast<ShapedType>(op.getWeightOperand().get().getType());
    report.shape = type.getShape().vec();
    report.numWeights = type.getNumElements();
    report.floatBytes = getBytes(op.getWeightOperand().get());
    report.bytes = report.floatBytes;
  }
  return report;
}

DictionaryAttr toAttr(Builder &b, const quantizer::Histogram &histogram) {
  return b.getDictionaryAttr(
      {b.getNamedAttr("limit", b.getF64FloatAttr(histogram.limit)),
       b.getNamedAttr("counts", b.getDenseI64ArrayAttr(histogram.counts))});
}

/// False if the attribute is not what `toAttr` makes: a text may be edited.
bool readHistogram(DictionaryAttr parts, StringRef key,
                   quantizer::Histogram &histogram) {
  auto dictionary = parts.getAs<DictionaryAttr>(key);
  if (!dictionary)
    return false;
  auto limit = dictionary.getAs<FloatAttr>("limit");
  auto counts = dictionary.getAs<DenseI64ArrayAttr>("counts");
  if (!limit || !counts)
    return false;
  histogram = {limit.getValueAsDouble(), counts.asArrayRef().vec()};
  return true;
}

std::optional<quantizer::WeightHistograms>
readHistograms(DictionaryAttr report) {
  auto parts = report.getAs<DictionaryAttr>("histograms");
  quantizer::WeightHistograms result;
  if (!parts || !readHistogram(parts, "before", result.before) ||
      !readHistogram(parts, "after", result.after) ||
      !readHistogram(parts, "errors", result.errors))
    return std::nullopt;
  return result;
}

} // namespace

DictionaryAttr toDictionary(MLIRContext *context,
                            const quantizer::MethodOptions &options) {
  Builder b(context);
  NamedAttrList entries;
  for (const auto &[name, value] : options)
    entries.append(name, b.getStringAttr(value));
  return entries.getDictionary(context);
}

quantizer::MethodOptions toMethodOptions(DictionaryAttr dictionary) {
  quantizer::MethodOptions options;
  for (NamedAttribute entry : dictionary)
    if (auto value = dyn_cast<StringAttr>(entry.getValue()))
      options.emplace_back(entry.getName().str(), value.str());
  return options;
}

DictionaryAttr toDictionary(MLIRContext *context, const LayerReport &report) {
  Builder b(context);
  SmallVector<NamedAttribute> entries;
  auto add = [&](StringRef key, Attribute value) {
    entries.push_back(b.getNamedAttr(key, value));
  };
  auto addString = [&](StringRef key, const std::string &value) {
    if (!value.empty())
      add(key, b.getStringAttr(value));
  };
  addString("scheme", report.scheme);
  addString("method", report.method);
  addString("reason", report.reason);
  addString("scale_type", report.scaleType);
  addString("scale_rule", report.scaleRule);
  if (report.scheme != "none") {
    add("group_size", b.getI64IntegerAttr(report.groupSize));
    add("symmetric", b.getBoolAttr(report.symmetric));
    if (report.outlierThreshold)
      add("outlier_threshold", b.getF32FloatAttr(*report.outlierThreshold));
    if (report.doubleQuant)
      add("double_quant", b.getUnitAttr());
    if (!report.methodOptions.empty())
      add("options", toDictionary(context, report.methodOptions));
  }
  add("weights", b.getI64IntegerAttr(report.numWeights));
  add("float_bytes", b.getI64IntegerAttr(report.floatBytes));
  add("bytes", b.getI64IntegerAttr(report.bytes));
  if (report.sqnr)
    add("sqnr_db", b.getF64FloatAttr(*report.sqnr));
  if (report.cosine)
    add("cosine", b.getF64FloatAttr(*report.cosine));
  if (report.maxAbsError)
    add("max_abs_error", b.getF64FloatAttr(*report.maxAbsError));
  if (report.outputError)
    add("output_error", b.getF64FloatAttr(*report.outputError));
  if (report.outputErrorBasis != OutputErrorBasis::None)
    addString("output_error_basis",
              stringifyOutputErrorBasis(report.outputErrorBasis).str());
  if (const std::optional<CalibratedRounding> &rounding = report.rounding) {
    add("calibration_rows", b.getI64IntegerAttr(rounding->rows));
    if (rounding->damp)
      add("damp", b.getF64FloatAttr(*rounding->damp));
    if (rounding->loss)
      add("loss", b.getF64FloatAttr(*rounding->loss));
    addString("fallback", rounding->fallback);
  }
  if (report.histograms)
    add("histograms",
        b.getDictionaryAttr(
            {b.getNamedAttr("before", toAttr(b, report.histograms->before)),
             b.getNamedAttr("after", toAttr(b, report.histograms->after)),
             b.getNamedAttr("errors", toAttr(b, report.histograms->errors))}));
  if (!report.shape.empty())
    add("shape", b.getDenseI64ArrayAttr(report.shape));
  return b.getDictionaryAttr(entries);
}

void setLayerReport(QuantizableOpInterface op, const LayerReport &report) {
  op->setAttr(reportAttrName, toDictionary(op.getContext(), report));
}

/// Adds what `dictionary` says to `report`.
static void readReport(DictionaryAttr dictionary, LayerReport &report) {
  auto getString = [&](StringRef key, std::string &value) {
    if (auto attr = dictionary.getAs<StringAttr>(key))
      value = attr.str();
  };
  auto getInteger = [&](StringRef key, int64_t &value) {
    if (auto attr = dictionary.getAs<IntegerAttr>(key))
      value = attr.getInt();
  };
  auto getDouble = [&](StringRef key, std::optional<double> &value) {
    if (auto attr = dictionary.getAs<FloatAttr>(key))
      value = attr.getValueAsDouble();
  };
  getString("scheme", report.scheme);
  getString("method", report.method);
  getString("reason", report.reason);
  getString("scale_type", report.scaleType);
  getString("scale_rule", report.scaleRule);
  getInteger("group_size", report.groupSize);
  report.doubleQuant = dictionary.contains("double_quant");
  if (auto attr = dictionary.getAs<BoolAttr>("symmetric"))
    report.symmetric = attr.getValue();
  if (auto attr = dictionary.getAs<FloatAttr>("outlier_threshold"))
    report.outlierThreshold = attr.getValueAsDouble();
  getInteger("weights", report.numWeights);
  getInteger("float_bytes", report.floatBytes);
  getInteger("bytes", report.bytes);
  getDouble("sqnr_db", report.sqnr);
  getDouble("cosine", report.cosine);
  getDouble("max_abs_error", report.maxAbsError);
  getDouble("output_error", report.outputError);
  std::string basis;
  getString("output_error_basis", basis);
  report.outputErrorBasis = symbolizeOutputErrorBasis(basis);
  report.histograms = readHistograms(dictionary);
  if (auto rows = dictionary.getAs<IntegerAttr>("calibration_rows")) {
    CalibratedRounding &rounding = report.rounding.emplace();
    rounding.rows = rows.getInt();
    getDouble("damp", rounding.damp);
    getDouble("loss", rounding.loss);
    getString("fallback", rounding.fallback);
  }
  if (auto options = dictionary.getAs<DictionaryAttr>("options"))
    report.methodOptions = toMethodOptions(options);
  if (auto attr = dictionary.getAs<DenseI64ArrayAttr>("shape"))
    report.shape = attr.asArrayRef().vec();
}

/// An integer product that was a layer with floats, and not one of the model's
/// own codes.
static std::optional<LayerReport> describeInteger(Operation *op) {
  auto dictionary = op->getAttrOfType<DictionaryAttr>(reportAttrName);
  if (!dictionary || !isa<MatMulIntegerOp, ConvIntegerOp>(op))
    return std::nullopt;
  LayerReport report;
  auto layers = op->getAttrOfType<ArrayAttr>("layers");
  if (layers && !layers.empty())
    report.name = cast<StringAttr>(layers[0]).str();
  auto type =
      op->getAttrOfType<StringAttr>(NibbleDialect::getOperatorTypeAttr());
  report.operatorType = type                     ? type.str()
                        : isa<ConvIntegerOp>(op) ? "Conv"
                                                 : "MatMul";
  readReport(dictionary, report);
  return report;
}

std::vector<LayerReport> collectLayerReports(ModuleOp module) {
  std::vector<LayerReport> reports;
  DenseMap<Value, std::string> firstUsers;
  module.walk([&](Operation *operation) {
    if (std::optional<LayerReport> report = describeInteger(operation))
      reports.push_back(std::move(*report));
    auto op = dyn_cast<QuantizableOpInterface>(operation);
    if (!op)
      return;
    LayerReport report = describe(op);
    if (auto dictionary = op->getAttrOfType<DictionaryAttr>(reportAttrName))
      readReport(dictionary, report);
    auto [user, first] =
        firstUsers.try_emplace(op.getWeightOperand().get(), report.name);
    if (!first)
      report.sharedWith = user->second;
    reports.push_back(std::move(report));
  });
  return reports;
}

} // namespace nibble
