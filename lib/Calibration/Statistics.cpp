//===- Statistics.cpp - What a model's values look like -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Statistics.h"
#include "nibble/Calibration/Ranges.h"
#include "nibble/Support/AtomicFile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/YAMLParser.h"
#include <algorithm>
#include <charconv>
#include <cmath>

using namespace nibble::calibration;
using llvm::StringRef;

static constexpr std::pair<Method, const char *> methodNames[] = {
    {Method::MinMax, "minmax"},
    {Method::MovingAverage, "moving-average"},
    {Method::Percentile, "percentile"},
    {Method::Entropy, "entropy"},
    {Method::MSE, "mse"}};

StringRef nibble::calibration::stringifyMethod(Method method) {
  for (auto [value, name] : methodNames)
    if (value == method)
      return name;
  llvm_unreachable("unknown method");
}

std::optional<Method> nibble::calibration::symbolizeMethod(StringRef name) {
  for (auto [value, known] : methodNames)
    if (name == known)
      return value;
  return std::nullopt;
}

RangeOptions RangeOptions::get(Method method) {
  RangeOptions options;
  options.method = method;
  options.symmetric = method == Method::Percentile;
  return options;
}

llvm::Error RangeOptions::validate() const {
  if (!(percentile > 0 && percentile <= 100))
    return llvm::createStringError("the percentile is not above 0 and at most "
                                   "100");
  if (!(averagingConstant > 0 && averagingConstant <= 1))
    return llvm::createStringError(
        "the averaging constant is not above 0 and at most 1");
  if (quantizedBins < 2 || bins < quantizedBins || bins > (1 << 16))
    return llvm::createStringError("entropy needs at least 2 quantized bins, "
                                   "at least as many bins, and at most 65536");
  if (!(norm >= 1 && norm <= 8))
    return llvm::createStringError("the norm is not from 1 to 8");
  return llvm::Error::success();
}

bool RangeOptions::operator==(const RangeOptions &other) const {
  return method == other.method && symmetric == other.symmetric &&
         percentile == other.percentile &&
         averagingConstant == other.averagingConstant && bins == other.bins &&
         quantizedBins == other.quantizedBins && norm == other.norm;
}

std::string nibble::calibration::getHessianPath(StringRef path) {
  return (path + ".hessians.safetensors").str();
}

std::string nibble::calibration::getHessianName(StringRef layer,
                                                int64_t group) {
  return group ? (layer + "#" + llvm::Twine(group)).str() : layer.str();
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

namespace {
/// Numbers as short as they can be read back exactly.
struct Number {
  char text[40];
  template <typename T>
  explicit Number(T value) {
    *std::to_chars(text, text + sizeof(text) - 1, value).ptr = '\0';
  }
};
} // namespace

static llvm::raw_ostream &operator<<(llvm::raw_ostream &os,
                                     const Number &number) {
  return os << static_cast<const char *>(number.text);
}

static std::string quote(StringRef name) {
  return '"' + llvm::yaml::escape(name) + '"';
}

template <typename T>
static void printList(llvm::raw_ostream &os, const std::vector<T> &values) {
  os << '[';
  llvm::interleaveComma(values, os, [&](T value) { os << Number(value); });
  os << "]\n";
}

static void printOptions(llvm::raw_ostream &os, const RangeOptions &options) {
  os << "method: " << stringifyMethod(options.method) << '\n'
     << "options: {symmetric: " << (options.symmetric ? "true" : "false");
  if (options.method == Method::Percentile)
    os << ", percentile: " << Number(options.percentile);
  if (options.method == Method::MovingAverage)
    os << ", averaging-constant: " << Number(options.averagingConstant);
  if (options.method == Method::Entropy)
    os << ", bins: " << options.bins
       << ", quantized-bins: " << options.quantizedBins;
  if (options.method == Method::MSE)
    os << ", norm: " << Number(options.norm);
  os << "}\n";
}

static void printTensor(llvm::raw_ostream &os, const TensorStatistics &tensor) {
  os << "- name: " << quote(tensor.name) << '\n'
     << "  operator: " << quote(tensor.operatorType) << '\n'
     << "  count: " << tensor.count << '\n'
     << "  batches: " << tensor.batches << '\n'
     << "  min: " << Number(tensor.min) << '\n'
     << "  max: " << Number(tensor.max) << '\n'
     << "  range: [" << Number(tensor.range.low) << ", "
     << Number(tensor.range.high) << "]\n";
  if (!tensor.histogram)
    return;
  os << "  histogram:\n    low: " << Number(tensor.histogram->low)
     << "\n    width: " << Number(tensor.histogram->width) << "\n    counts: ";
  printList(os, tensor.histogram->counts);
}

static void printLayer(llvm::raw_ostream &os, const LayerStatistics &layer) {
  os << "- name: " << quote(layer.name) << '\n'
     << "  operator: " << quote(layer.operatorType) << '\n'
     << "  rows: " << layer.rows << '\n'
     << "  token-absmax: [" << Number(layer.tokenAbsMaxMin) << ", "
     << Number(layer.tokenAbsMaxMean) << ", " << Number(layer.tokenAbsMaxMax)
     << "]\n";
  for (auto [key, values] :
       {std::pair<const char *, const std::vector<float> *>{"min", &layer.min},
        {"max", &layer.max},
        {"mean-absolute", &layer.meanAbsolute},
        {"mean", &layer.mean},
        {"mean-square", &layer.meanSquare}}) {
    os << "  " << key << ": ";
    printList(os, *values);
  }
  if (layer.hessianSize)
    os << "  hessian: {size: " << layer.hessianSize
       << ", count: " << layer.hessianCount << "}\n";
}

void Statistics::print(llvm::raw_ostream &os) const {
  os << "# Written by nibble-calibrate; read by nibble-compile --calibration.\n"
     << "version: 1\n"
     << "model: {name: " << quote(modelName)
     << ", hash: " << llvm::format_hex(modelHash, 18) << "}\n";
  printOptions(os, options);
  os << "samples: " << samples << "\nbatches: " << batches << '\n';
  if (hessians)
    os << "hessians:\n  file: " << quote(hessians->file)
       << "\n  checksum: " << llvm::format_hex(hessians->checksum, 18)
       << "\n  bytes: " << hessians->bytes << '\n';
  os << (tensors.empty() ? "tensors: []\n" : "tensors:\n");
  for (const TensorStatistics &tensor : tensors)
    printTensor(os, tensor);
  os << (layers.empty() ? "layers: []\n" : "layers:\n");
  for (const LayerStatistics &layer : layers)
    printLayer(os, layer);
}

llvm::Error Statistics::write(StringRef path, AtomicFile *hessianFile) const {
  llvm::Expected<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return file.takeError();
  print(file->os());
  // What can fail, a full disk among it, comes before the first new name.
  if (llvm::Error error = file->finish())
    return error;
  if (hessianFile)
    if (llvm::Error error = hessianFile->commit())
      return error;
  return file->commit();
}

//===----------------------------------------------------------------------===//
// Use
//===----------------------------------------------------------------------===//

const TensorStatistics *Statistics::findTensor(StringRef name) const {
  auto found = llvm::find_if(
      tensors, [&](const TensorStatistics &t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

const LayerStatistics *Statistics::findLayer(StringRef name) const {
  auto found = llvm::find_if(
      layers, [&](const LayerStatistics &l) { return l.name == name; });
  return found == layers.end() ? nullptr : &*found;
}

static std::string hex(uint64_t value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format_hex(value, 18);
  return text;
}

llvm::Error Statistics::checkModel(uint64_t hash) const {
  if (hash == modelHash)
    return llvm::Error::success();
  return llvm::createStringError(
      (fileName.empty() ? "" : fileName + ": ") +
      "the statistics are of another model or of an older state of it ('" +
      modelName + "', hash " + hex(modelHash) + "; this model has " +
      hex(hash) + "): run nibble-calibrate again");
}

//===----------------------------------------------------------------------===//
// Merging
//===----------------------------------------------------------------------===//

/// The mean of two means, by the numbers of what they are of.
static float mixMeans(double left, double leftCount, double right,
                      double rightCount) {
  return static_cast<float>((left * leftCount + right * rightCount) /
                            (leftCount + rightCount));
}

static void mergeTensor(TensorStatistics &to, const TensorStatistics &from,
                        const RangeOptions &options) {
  if (!from.count)
    return;
  if (!to.count) {
    to = from;
    return;
  }
  auto left = static_cast<double>(to.batches);
  auto right = static_cast<double>(from.batches);
  to.range = {mixMeans(to.range.low, left, from.range.low, right),
              mixMeans(to.range.high, left, from.range.high, right)};
  to.min = std::min(to.min, from.min);
  to.max = std::max(to.max, from.max);
  to.count += from.count;
  to.batches += from.batches;
  if (to.histogram && from.histogram)
    to.histogram->merge(*from.histogram);
  to.range = chooseRange(to, options);
}

static void mergeLayer(LayerStatistics &to, const LayerStatistics &from) {
  if (!from.rows)
    return;
  if (!to.rows) {
    to = from;
    return;
  }
  auto left = static_cast<double>(to.rows);
  auto right = static_cast<double>(from.rows);
  to.tokenAbsMaxMin = std::min(to.tokenAbsMaxMin, from.tokenAbsMaxMin);
  to.tokenAbsMaxMax = std::max(to.tokenAbsMaxMax, from.tokenAbsMaxMax);
  to.tokenAbsMaxMean =
      mixMeans(to.tokenAbsMaxMean, left, from.tokenAbsMaxMean, right);
  for (size_t i = 0; i != to.mean.size(); ++i) {
    to.min[i] = std::min(to.min[i], from.min[i]);
    to.max[i] = std::max(to.max[i], from.max[i]);
    to.absMax[i] = std::max(to.absMax[i], from.absMax[i]);
    to.meanAbsolute[i] =
        mixMeans(to.meanAbsolute[i], left, from.meanAbsolute[i], right);
    to.mean[i] = mixMeans(to.mean[i], left, from.mean[i], right);
    to.meanSquare[i] =
        mixMeans(to.meanSquare[i], left, from.meanSquare[i], right);
  }
  to.rows += from.rows;
}

/// Names of what one part has and the other has not.
template <typename T>
static std::string describeDifference(const std::vector<T> &left,
                                      const std::vector<T> &right) {
  if (left.size() != right.size())
    return std::to_string(left.size()) + " and " + std::to_string(right.size());
  for (auto [a, b] : llvm::zip_equal(left, right))
    if (a.name != b.name)
      return "'" + a.name + "' and '" + b.name + "'";
  return "";
}

llvm::Error Statistics::merge(const Statistics &other) {
  auto fail = [&](const llvm::Twine &reason) {
    std::string left = fileName.empty() ? "these" : "'" + fileName + "'";
    std::string right =
        other.fileName.empty() ? "those" : "'" + other.fileName + "'";
    return llvm::createStringError("can't merge " + left + " and " + right +
                                   ": " + reason);
  };
  if (modelHash != other.modelHash)
    return fail("they are of two models, '" + modelName + "' (hash " +
                hex(modelHash) + ") and '" + other.modelName + "' (hash " +
                hex(other.modelHash) + ")");
  if (!(options == other.options))
    return fail("they were made by different methods or options (" +
                stringifyMethod(options.method) + " and " +
                stringifyMethod(other.options.method) + ")");
  if (std::string what = describeDifference(tensors, other.tensors);
      !what.empty())
    return fail("they have different tensors, " + what);
  if (std::string what = describeDifference(layers, other.layers);
      !what.empty())
    return fail("they have different layers, " + what);
  for (auto [left, right] : llvm::zip_equal(layers, other.layers))
    if (left.rows && right.rows &&
        (left.mean.size() != right.mean.size() ||
         left.hessianSize != right.hessianSize ||
         left.hessianCount != right.hessianCount))
      return fail("layer '" + left.name +
                  "' has another number of channels, or only one of them has "
                  "its Hessian");
  for (auto [left, right] : llvm::zip_equal(tensors, other.tensors))
    mergeTensor(left, right, options);
  for (auto [left, right] : llvm::zip_equal(layers, other.layers))
    mergeLayer(left, right);
  samples += other.samples;
  batches += other.batches;
  return llvm::Error::success();
}

llvm::Expected<Statistics> Statistics::mergeAll(std::vector<Statistics> parts) {
  // Sums of rounded numbers depend on their order: choose one.
  std::vector<std::pair<std::string, const Statistics *>> sorted;
  for (const Statistics &part : parts) {
    std::string text;
    llvm::raw_string_ostream os(text);
    part.print(os);
    sorted.emplace_back(std::move(text), &part);
  }
  llvm::sort(sorted,
             [](const auto &a, const auto &b) { return a.first < b.first; });
  Statistics result = *sorted.front().second;
  for (const auto &[text, part] : llvm::drop_begin(sorted))
    if (llvm::Error error = result.merge(*part))
      return std::move(error);
  return std::move(result);
}
