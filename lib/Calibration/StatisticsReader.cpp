//===- StatisticsReader.cpp - The text of statistics ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Statistics.h"
#include "nibble/Support/Suggest.h"
#include "nibble/Support/YAMLReader.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include <charconv>
#include <cmath>
#include <mutex>

using namespace nibble;
using namespace nibble::calibration;
using llvm::StringRef;
namespace yaml = llvm::yaml;

namespace nibble::calibration {
class StatisticsReader : YAMLReader {
public:
  StatisticsReader(StringRef text, StringRef fileName)
      : YAMLReader(text, fileName) {
    result.fileName = fileName.str();
  }

  llvm::Expected<Statistics> read() {
    if (llvm::Error failure =
            readDocument("statistics file",
                         [&](yaml::Node *root) { return readRoot(root); }))
      return std::move(failure);
    return std::move(result);
  }

private:
  using Readers =
      std::initializer_list<std::pair<StringRef, std::function<bool(Entry)>>>;

  bool readRoot(yaml::Node *root);
  bool readModel(const Entry &entry);
  bool readMethod(const Entry &entry);
  bool readOptions(const Entry &entry);
  bool readHessians(const Entry &entry);
  bool readTensor(yaml::Node *node);
  bool readHistogram(const Entry &entry, TensorStatistics &tensor);
  bool readLayer(yaml::Node *node);
  bool readLayerHessian(const Entry &entry, LayerStatistics &layer);
  bool completeLayer(yaml::Node *node, LayerStatistics &layer);

  /// Reads a mapping whose keys are those of `readers`; the first `required`
  /// ones must be there.
  bool readFields(yaml::Node *node, StringRef what, size_t required,
                  Readers readers);
  bool readItems(const Entry &entry,
                 llvm::function_ref<bool(yaml::Node *)> body);
  bool readText(const Entry &entry, std::string &value) {
    return readString(entry.value, "'" + entry.key + "'", value);
  }
  template <typename T>
  bool readNumber(yaml::Node *node, StringRef key, T &value);
  template <typename T>
  bool readNumber(const Entry &entry, T &value) {
    return readNumber(entry.value, entry.key, value);
  }
  bool readHash(const Entry &entry, uint64_t &value);
  template <typename T>
  bool readNumbers(const Entry &entry, std::vector<T> &values);

  Statistics result;
  llvm::StringSet<> tensorNames, layerNames;
};
} // namespace nibble::calibration

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

bool StatisticsReader::readFields(yaml::Node *node, StringRef what,
                                  size_t required, Readers readers) {
  llvm::SmallVector<StringRef> known, seen;
  for (const auto &reader : readers)
    known.push_back(reader.first);
  // The key of a mapping, while its entries are read.
  auto readEntry = [&](const Entry &entry) {
    for (const auto &[key, body] : readers)
      if (entry.key == key) {
        seen.push_back(key);
        return body(entry);
      }
    return failUnknown(entry, known);
  };
  if (!readMapping(node, what, llvm::join(known, ", "), readEntry))
    return false;
  for (StringRef key : llvm::ArrayRef(known).take_front(required))
    if (!llvm::is_contained(seen, key))
      return fail(node, what + " has no '" + key + "'");
  return true;
}

bool StatisticsReader::readItems(const Entry &entry,
                                 llvm::function_ref<bool(yaml::Node *)> body) {
  auto *list = llvm::dyn_cast_or_null<yaml::SequenceNode>(entry.value);
  if (stream.failed())
    return false;
  if (!list)
    return fail(entry.keyNode, "'" + entry.key + "' is not a list");
  for (yaml::Node &node : *list)
    if (!body(&node) || stream.failed())
      return false;
  return !stream.failed();
}

template <typename T>
bool StatisticsReader::readNumber(yaml::Node *node, StringRef key, T &value) {
  auto *scalar = llvm::dyn_cast_or_null<yaml::ScalarNode>(node);
  if (!scalar || stream.failed())
    return fail(node, "'" + key + "' is not a number");
  StringRef raw = scalar->getRawValue();
  auto [end, failure] = std::from_chars(raw.begin(), raw.end(), value);
  bool isFinite = true;
  if constexpr (std::is_floating_point_v<T>)
    isFinite = std::isfinite(value);
  if (failure != std::errc() || end != raw.end() || !isFinite)
    return fail(node, "'" + key + "' is '" + raw + "': expected a " +
                          (std::is_floating_point_v<T>
                               ? "finite number"
                               : "number of things, 0 or more"));
  return true;
}

bool StatisticsReader::readHash(const Entry &entry, uint64_t &value) {
  std::string text;
  if (!readText(entry, text))
    return false;
  StringRef digits = text;
  return (digits.consume_front("0x") && !digits.getAsInteger(16, value)) ||
         fail(entry.value, "'" + entry.key + "' is '" + text +
                               "': expected 0x and 16 digits");
}

template <typename T>
bool StatisticsReader::readNumbers(const Entry &entry, std::vector<T> &values) {
  return readItems(entry, [&](yaml::Node *node) {
    return readNumber(node, entry.key, values.emplace_back());
  });
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

bool StatisticsReader::readModel(const Entry &entry) {
  return readFields(
      entry.value, "'model'", 2,
      {{"name", [&](Entry e) { return readText(e, result.modelName); }},
       {"hash", [&](Entry e) { return readHash(e, result.modelHash); }}});
}

bool StatisticsReader::readMethod(const Entry &entry) {
  std::string name;
  if (!readText(entry, name))
    return false;
  std::optional<Method> method = symbolizeMethod(name);
  if (!method)
    return fail(entry.value,
                "unknown method '" + name +
                    "': expected minmax, moving-average, percentile, entropy "
                    "or mse");
  result.options = RangeOptions::get(*method);
  return true;
}

bool StatisticsReader::readOptions(const Entry &entry) {
  RangeOptions &options = result.options;
  if (!readFields(
          entry.value, "'options'", 0,
          {{"symmetric",
            [&](Entry e) { return readBool(e, options.symmetric); }},
           {"percentile",
            [&](Entry e) { return readNumber(e, options.percentile); }},
           {"averaging-constant",
            [&](Entry e) { return readNumber(e, options.averagingConstant); }},
           {"bins", [&](Entry e) { return readNumber(e, options.bins); }},
           {"quantized-bins",
            [&](Entry e) { return readNumber(e, options.quantizedBins); }},
           {"norm", [&](Entry e) { return readNumber(e, options.norm); }}}))
    return false;
  if (llvm::Error invalid = options.validate())
    return fail(entry.keyNode, llvm::toString(std::move(invalid)));
  return true;
}

bool StatisticsReader::readHessians(const Entry &entry) {
  HessianReference &hessians = result.hessians.emplace();
  return readFields(
      entry.value, "'hessians'", 3,
      {{"file", [&](Entry e) { return readText(e, hessians.file); }},
       {"checksum", [&](Entry e) { return readHash(e, hessians.checksum); }},
       {"bytes", [&](Entry e) { return readNumber(e, hessians.bytes); }}});
}

bool StatisticsReader::readHistogram(const Entry &entry,
                                     TensorStatistics &tensor) {
  Histogram &histogram = tensor.histogram.emplace();
  if (!readFields(
          entry.value, "'histogram'", 3,
          {{"low", [&](Entry e) { return readNumber(e, histogram.low); }},
           {"width", [&](Entry e) { return readNumber(e, histogram.width); }},
           {"counts",
            [&](Entry e) { return readNumbers(e, histogram.counts); }}}))
    return false;
  if (llvm::Error invalid = histogram.validate())
    return fail(entry.keyNode, llvm::toString(std::move(invalid)));
  return true;
}

bool StatisticsReader::readTensor(yaml::Node *node) {
  TensorStatistics tensor;
  std::vector<float> range;
  if (!readFields(
          node, "a tensor", 7,
          {{"name", [&](Entry e) { return readText(e, tensor.name); }},
           {"operator",
            [&](Entry e) { return readText(e, tensor.operatorType); }},
           {"count", [&](Entry e) { return readNumber(e, tensor.count); }},
           {"batches", [&](Entry e) { return readNumber(e, tensor.batches); }},
           {"min", [&](Entry e) { return readNumber(e, tensor.min); }},
           {"max", [&](Entry e) { return readNumber(e, tensor.max); }},
           {"range", [&](Entry e) { return readNumbers(e, range); }},
           {"histogram", [&](Entry e) { return readHistogram(e, tensor); }}}))
    return false;
  if (range.size() != 2 || range[0] > range[1])
    return fail(node, "the range of '" + tensor.name +
                          "' is not two numbers, the lower first");
  if (tensor.min > tensor.max)
    return fail(node, "'" + tensor.name + "' has a minimum above its maximum");
  if (!tensorNames.insert(tensor.name).second)
    return fail(node, "tensor '" + tensor.name + "' is there twice");
  tensor.range = {range[0], range[1]};
  result.tensors.push_back(std::move(tensor));
  return true;
}

bool StatisticsReader::readLayerHessian(const Entry &entry,
                                        LayerStatistics &layer) {
  uint64_t size = 0, count = 0;
  if (!readFields(entry.value, "'hessian'", 2,
                  {{"size", [&](Entry e) { return readNumber(e, size); }},
                   {"count", [&](Entry e) { return readNumber(e, count); }}}))
    return false;
  // Four bytes for each entry of the matrix have to be addressable.
  if (size == 0 || size > (1u << 24) || count == 0 || count > (1u << 24))
    return fail(entry.keyNode,
                "the Hessian of '" + layer.name + "' has an impossible size");
  layer.hessianSize = static_cast<int64_t>(size);
  layer.hessianCount = static_cast<int64_t>(count);
  return true;
}

bool StatisticsReader::completeLayer(yaml::Node *node, LayerStatistics &layer) {
  size_t channels = layer.mean.size();
  for (const std::vector<float> *values :
       {&layer.min, &layer.max, &layer.meanAbsolute, &layer.meanSquare})
    if (values->size() != channels)
      return fail(node, "the lists of layer '" + layer.name +
                            "' have different lengths");
  for (size_t i = 0; i != channels; ++i) {
    if (layer.min[i] > layer.max[i] || layer.meanAbsolute[i] < 0 ||
        layer.meanSquare[i] < 0)
      return fail(node, "channel " + llvm::Twine(i) + " of layer '" +
                            layer.name +
                            "' has a minimum above its maximum, or a negative "
                            "mean of magnitudes or squares");
    layer.absMax.push_back(
        std::max(std::fabs(layer.min[i]), std::fabs(layer.max[i])));
  }
  return true;
}

bool StatisticsReader::readLayer(yaml::Node *node) {
  LayerStatistics layer;
  std::vector<float> tokens;
  if (!readFields(
          node, "a layer", 9,
          {{"name", [&](Entry e) { return readText(e, layer.name); }},
           {"operator",
            [&](Entry e) { return readText(e, layer.operatorType); }},
           {"rows", [&](Entry e) { return readNumber(e, layer.rows); }},
           {"token-absmax", [&](Entry e) { return readNumbers(e, tokens); }},
           {"min", [&](Entry e) { return readNumbers(e, layer.min); }},
           {"max", [&](Entry e) { return readNumbers(e, layer.max); }},
           {"mean-absolute",
            [&](Entry e) { return readNumbers(e, layer.meanAbsolute); }},
           {"mean", [&](Entry e) { return readNumbers(e, layer.mean); }},
           {"mean-square",
            [&](Entry e) { return readNumbers(e, layer.meanSquare); }},
           {"hessian", [&](Entry e) { return readLayerHessian(e, layer); }}}))
    return false;
  if (tokens.size() != 3)
    return fail(node, "'token-absmax' of layer '" + layer.name +
                          "' is not three numbers");
  if (!completeLayer(node, layer))
    return false;
  if (!layerNames.insert(layer.name).second)
    return fail(node, "layer '" + layer.name + "' is there twice");
  layer.tokenAbsMaxMin = tokens[0];
  layer.tokenAbsMaxMean = tokens[1];
  layer.tokenAbsMaxMax = tokens[2];
  result.layers.push_back(std::move(layer));
  return true;
}

bool StatisticsReader::readRoot(yaml::Node *root) {
  auto readVersion = [&](Entry entry) {
    std::string version;
    return readText(entry, version) &&
           (version == "1" ||
            fail(entry.value, "version '" + version +
                                  "' is not known to this build: expected 1"));
  };
  return readFields(
      root, "a statistics file", 7,
      {{"version", readVersion},
       {"model", [&](Entry e) { return readModel(e); }},
       {"method", [&](Entry e) { return readMethod(e); }},
       {"samples", [&](Entry e) { return readNumber(e, result.samples); }},
       {"batches", [&](Entry e) { return readNumber(e, result.batches); }},
       {"tensors",
        [&](Entry e) {
          return readItems(e, [&](yaml::Node *n) { return readTensor(n); });
        }},
       {"layers",
        [&](Entry e) {
          return readItems(e, [&](yaml::Node *n) { return readLayer(n); });
        }},
       {"options", [&](Entry e) { return readOptions(e); }},
       {"hessians", [&](Entry e) { return readHessians(e); }}});
}

llvm::Expected<Statistics> Statistics::parse(StringRef text,
                                             StringRef fileName) {
  if (llvm::Error failure = checkUTF8(text, fileName))
    return std::move(failure);
  return StatisticsReader(text, fileName).read();
}

llvm::Expected<Statistics> Statistics::read(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return llvm::createStringError("can't read '" + path +
                                   "': " + buffer.getError().message());
  return parse((*buffer)->getBuffer(), path);
}

namespace {
/// Files that were read, for as long as somebody uses them.
struct Cache {
  struct Entry {
    llvm::sys::TimePoint<> modified;
    uint64_t size = 0;
    std::weak_ptr<const Statistics> statistics;
  };
  std::mutex mutex;
  llvm::StringMap<Entry> entries;
};
} // namespace

llvm::Expected<std::shared_ptr<const Statistics>>
Statistics::readShared(StringRef path) {
  static Cache cache;
  std::lock_guard<std::mutex> lock(cache.mutex);
  llvm::sys::fs::file_status status;
  if (std::error_code ec = llvm::sys::fs::status(path, status))
    return llvm::createStringError("can't read '" + path +
                                   "': " + ec.message());
  Cache::Entry &entry = cache.entries[path];
  auto known = entry.statistics.lock();
  if (known && entry.modified == status.getLastModificationTime() &&
      entry.size == status.getSize())
    return known;
  auto read = Statistics::read(path);
  if (!read)
    return read.takeError();
  auto result = std::make_shared<const Statistics>(std::move(*read));
  entry = {status.getLastModificationTime(), status.getSize(), result};
  return result;
}
