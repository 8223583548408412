//===- Checkpoint.cpp - The state of a collector in a file ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A safetensors file with the sums as they are, so that a run that goes on from
// it ends with the same bits as one that was never ended.
//
//===----------------------------------------------------------------------===//

#include "CollectorState.h"
#include "nibble/Format/Safetensors/Safetensors.h"
#include "nibble/Runtime/Hash.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <cstring>

using namespace nibble;
using namespace nibble::calibration;
using llvm::StringRef;

namespace {

/// Arrays in the order in which they are written or were read.
struct Arrays {
  std::vector<format::SafetensorsEntry> entries;
  std::vector<llvm::ArrayRef<char>> data;
  /// Memory of small arrays.
  std::vector<std::unique_ptr<std::vector<double>>> owned;

  template <typename T>
  void add(std::string name, const char *dtype, std::vector<int64_t> shape,
           llvm::ArrayRef<T> values) {
    entries.push_back({std::move(name), dtype, std::move(shape)});
    data.push_back({reinterpret_cast<const char *>(values.data()),
                    values.size() * sizeof(T)});
  }
  void addNumbers(std::string name, std::vector<double> values) {
    auto &kept =
        owned.emplace_back(std::make_unique<std::vector<double>>(values));
    add<double>(std::move(name), "F64", {static_cast<int64_t>(kept->size())},
                *kept);
  }
};

void addTensor(Arrays &arrays, const std::string &name,
               const TensorState &state) {
  const TensorStatistics &s = state.statistics;
  arrays.addNumbers(name,
                    {static_cast<double>(s.count),
                     static_cast<double>(s.batches), s.min, s.max, s.range.low,
                     s.range.high, s.histogram ? s.histogram->low : 0,
                     s.histogram ? s.histogram->width : 0});
  if (s.histogram)
    arrays.add<uint64_t>(name + "/counts", "U64",
                         {static_cast<int64_t>(s.histogram->counts.size())},
                         s.histogram->counts);
}

void addLayer(Arrays &arrays, const std::string &name, LayerState &state) {
  arrays.addNumbers(name, {static_cast<double>(state.channels),
                           static_cast<double>(state.rows), state.tokenMin,
                           state.tokenMax, state.tokenSum});
  if (!state.rows)
    return;
  arrays.add<float>(name + "/min", "F32", {state.channels}, state.min);
  arrays.add<float>(name + "/max", "F32", {state.channels}, state.max);
  arrays.add<double>(name + "/sum", "F64", {state.channels}, state.sum);
  arrays.add<double>(name + "/absolute", "F64", {state.channels},
                     state.sumAbsolute);
  arrays.add<double>(name + "/square", "F64", {state.channels},
                     state.sumSquare);
  if (!state.hessian)
    return;
  int64_t size = state.hessian->getSize();
  for (int64_t g = 0; g != state.hessian->getCount(); ++g)
    arrays.add<float>(name + "/hessian/" + std::to_string(g), "F32",
                      {size, size}, state.hessian->getSums(g));
}

std::string getTensorName(size_t i) { return "tensor/" + std::to_string(i); }
std::string getLayerName(size_t i) { return "layer/" + std::to_string(i); }

/// What must be equal in the run that goes on.
template <typename Implementation>
std::string describe(const Implementation &state) {
  NibbleHash hash;
  nibbleHashBegin(&hash);
  auto add = [&](StringRef text) {
    nibbleHashAdd(&hash, text.data(), text.size());
    nibbleHashAdd(&hash, "\n", 1);
  };
  for (const TensorState &tensor : state.tensors)
    add(tensor.what.name);
  for (const LayerState &layer : state.layers)
    add(layer.what.name);
  Statistics options;
  options.options = state.options.range;
  std::string text;
  llvm::raw_string_ostream os(text);
  options.print(os);
  add(text);
  add(state.options.hessian ? "hessian" : "");
  return llvm::utohexstr(nibbleHashEnd(&hash));
}

/// Finds arrays by name and copies them; remembers if one was not as expected.
struct ArrayReader {
  const format::SafetensorsFile &file;
  bool failed = false;

  template <typename T>
  bool read(const std::string &name, const char *dtype, std::vector<T> &values,
            size_t size) {
    const format::SafetensorsEntry *entry = file.find(name);
    if (!entry || entry->dtype != dtype ||
        (size && entry->getBytes() != size * sizeof(T))) {
      failed = true;
      return false;
    }
    values.resize(entry->getBytes() / sizeof(T));
    std::memcpy(values.data(), file.getData(*entry).data(), entry->getBytes());
    return true;
  }
};

bool readTensor(ArrayReader &reader, const std::string &name,
                TensorState &state) {
  std::vector<double> numbers;
  if (!reader.read(name, "F64", numbers, 8))
    return false;
  TensorStatistics &s = state.statistics;
  s.count = static_cast<uint64_t>(numbers[0]);
  s.batches = static_cast<uint64_t>(numbers[1]);
  s.min = static_cast<float>(numbers[2]);
  s.max = static_cast<float>(numbers[3]);
  s.range = {static_cast<float>(numbers[4]), static_cast<float>(numbers[5])};
  if (!reader.file.find(name + "/counts"))
    return true;
  Histogram &histogram = s.histogram.emplace();
  histogram.low = numbers[6];
  histogram.width = numbers[7];
  return reader.read(name + "/counts", "U64", histogram.counts, 0) &&
         !llvm::errorToBool(histogram.validate());
}

bool readLayer(ArrayReader &reader, const std::string &name,
               LayerState &state) {
  std::vector<double> numbers;
  if (!reader.read(name, "F64", numbers, 5))
    return false;
  if (numbers[1] == 0)
    return true;
  // The number of channels is that of the lists.
  const format::SafetensorsEntry *min = reader.file.find(name + "/min");
  if (!min || min->shape.size() != 1 ||
      static_cast<double>(min->shape[0]) != numbers[0] || !(numbers[1] > 0))
    return false;
  state.begin(min->shape[0]);
  state.rows = static_cast<uint64_t>(numbers[1]);
  state.tokenMin = static_cast<float>(numbers[2]);
  state.tokenMax = static_cast<float>(numbers[3]);
  state.tokenSum = numbers[4];
  size_t channels = state.channels;
  return reader.read(name + "/min", "F32", state.min, channels) &&
         reader.read(name + "/max", "F32", state.max, channels) &&
         reader.read(name + "/sum", "F64", state.sum, channels) &&
         reader.read(name + "/absolute", "F64", state.sumAbsolute, channels) &&
         reader.read(name + "/square", "F64", state.sumSquare, channels);
}

bool readHessians(ArrayReader &reader, const std::string &name,
                  HessianSum &hessian) {
  for (int64_t g = 0; g != hessian.getCount(); ++g) {
    const format::SafetensorsEntry *entry =
        reader.file.find(name + "/hessian/" + std::to_string(g));
    if (!entry || entry->dtype != "F32" ||
        entry->getBytes() != hessian.getBytes())
      return false;
    std::memcpy(hessian.getSums(g).data(), reader.file.getData(*entry).data(),
                entry->getBytes());
  }
  hessian.release();
  return true;
}

} // namespace

llvm::Error Collector::writeCheckpoint(
    StringRef path, const std::map<std::string, std::string> &notes) const {
  Arrays arrays;
  for (auto [i, tensor] : llvm::enumerate(implementation->tensors))
    addTensor(arrays, getTensorName(i), tensor);
  for (auto [i, layer] : llvm::enumerate(implementation->layers))
    addLayer(arrays, getLayerName(i), layer);
  NibbleHash hash;
  nibbleHashBegin(&hash);
  for (llvm::ArrayRef<char> data : arrays.data)
    nibbleHashAdd(&hash, data.data(), data.size());
  std::map<std::string, std::string> metadata = notes;
  metadata["collector"] = describe(*implementation);
  metadata["checksum"] = llvm::utohexstr(nibbleHashEnd(&hash));
  auto written = format::writeSafetensors(
      path, arrays.entries, metadata,
      [&](size_t i, auto write) { write(arrays.data[i]); });
  for (LayerState &layer : implementation->layers)
    if (layer.hessian)
      layer.hessian->release();
  return written ? llvm::Error::success() : written.takeError();
}

llvm::Expected<std::map<std::string, std::string>>
Collector::readCheckpoint(StringRef path) {
  Implementation &state = *implementation;
  auto file = format::SafetensorsFile::open(path);
  if (!file)
    return file.takeError();
  std::map<std::string, std::string> notes = (*file)->getMetadata();
  auto fail = [&](const llvm::Twine &reason) {
    return llvm::createStringError("'" + path + "' " + reason +
                                   "; remove it, or run without --resume");
  };
  if (notes["collector"] != describe(state))
    return fail("is the checkpoint of another run: the model, the method or "
                "its options are others");
  NibbleHash hash;
  nibbleHashBegin(&hash);
  // The header has lost the order in which arrays lie in the file.
  std::vector<llvm::ArrayRef<char>> data;
  for (const format::SafetensorsEntry &entry : (*file)->getEntries())
    data.push_back((*file)->getData(entry));
  llvm::sort(data, [](llvm::ArrayRef<char> a, llvm::ArrayRef<char> b) {
    return std::pair(a.data(), a.size()) < std::pair(b.data(), b.size());
  });
  for (llvm::ArrayRef<char> part : data)
    nibbleHashAdd(&hash, part.data(), part.size());
  if (notes["checksum"] != llvm::utohexstr(nibbleHashEnd(&hash)))
    return fail("is damaged: its checksum differs");
  ArrayReader reader{**file};
  for (auto [i, tensor] : llvm::enumerate(state.tensors))
    if (!readTensor(reader, getTensorName(i), tensor))
      return fail("is damaged");
  for (auto [i, layer] : llvm::enumerate(state.layers)) {
    if (!readLayer(reader, getLayerName(i), layer))
      return fail("is damaged");
    if (!state.options.hessian || !layer.rows)
      continue;
    if (llvm::Error error = layer.createHessian(state.memoryLeft))
      return std::move(error);
    if (!readHessians(reader, getLayerName(i), *layer.hessian))
      return fail("is damaged");
  }
  return std::move(notes);
}
