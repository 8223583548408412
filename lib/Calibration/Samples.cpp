//===- Samples.cpp - Calibration data -------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Samples.h"
#include "SampleSet.h"
#include "nibble/Quantizer/Scheme.h"
#include "nibble/Runtime/Hash.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <cstring>

using namespace nibble;
using namespace nibble::calibration;
using llvm::StringRef;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

SampleReader::~SampleReader() = default;

void SampleBatch::addTo(NibbleHash &hash) const {
  auto add = [&](const void *bytes, uint64_t size) {
    nibbleHashAdd(&hash, bytes, size);
  };
  // Lengths come before what they are of, so that no two batches are the same
  // bytes.
  auto addNumber = [&](uint64_t number) { add(&number, sizeof(number)); };
  addNumber(samples);
  for (const nibble_tensor &input : inputs) {
    StringRef name = input.name;
    addNumber(name.size());
    add(name.data(), name.size());
    addNumber(input.dtype);
    addNumber(input.rank);
    add(input.dims, input.rank * sizeof(int64_t));
    addNumber(input.bytes);
    add(input.data, input.bytes);
  }
}

std::vector<ModelInput> ModelInput::getAll(const nibble_model *model) {
  std::vector<ModelInput> inputs;
  for (size_t i = 0; i != nibble_model_input_count(model); ++i) {
    const nibble_tensor_info *info = nibble_model_input(model, i);
    ModelInput &input = inputs.emplace_back();
    input.name = info->name;
    input.dtype = info->dtype;
    input.dims.assign(info->dims, info->dims + info->rank);
    // A past that is observed is no cache of the binary: names tell, as they
    // do in Python.
    if (StringRef(info->name).starts_with("past_key_values.") &&
        info->rank == 4)
      input.growingAxis = 2;
  }
  for (size_t i = 0; i != nibble_model_cache_count(model); ++i) {
    const nibble_cache_info *cache = nibble_model_cache(model, i);
    if (cache->grows)
      inputs[cache->input].growingAxis = cache->axis;
  }
  return inputs;
}

//===----------------------------------------------------------------------===//
// Finding files
//===----------------------------------------------------------------------===//

namespace {

/// Files that are read together: one, or those of one set of inputs.
struct FileGroup {
  std::vector<std::string> paths;
  /// Input i is file i, whatever its name is.
  bool isByPosition = false;
};

llvm::Expected<std::vector<std::string>> listFolder(StringRef folder) {
  std::error_code ec;
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, ec), end; it != end && !ec;
       it.increment(ec))
    if (!path::filename(it->path()).starts_with("."))
      names.push_back(it->path());
  if (ec)
    return llvm::createStringError("can't read the folder '" + folder +
                                   "': " + ec.message());
  llvm::sort(names);
  return names;
}

/// The files of ONNX's test data: input_0.pb, input_1.pb, ...
std::vector<std::string> findNumbered(StringRef folder) {
  std::vector<std::string> paths;
  for (;;) {
    llvm::SmallString<128> file(folder);
    path::append(file, "input_" + llvm::Twine(paths.size()) + ".pb");
    if (!fs::exists(file))
      return paths;
    paths.push_back(file.str().str());
  }
}

llvm::Error findFiles(StringRef name, llvm::ArrayRef<ModelInput> inputs,
                      std::vector<FileGroup> &groups, unsigned depth = 0) {
  if (!fs::is_directory(name)) {
    StringRef extension = path::extension(name);
    if (!fs::exists(name))
      return llvm::createStringError("there is no '" + name + "'");
    if (extension == ".txt" || extension == ".md")
      return llvm::createStringError(
          "'" + name +
          "' is a text, which needs a tokenizer: give it to "
          "python -m nibble calibrate");
    if (!llvm::is_contained({".npz", ".npy", ".pb", ".bin"}, extension))
      return llvm::createStringError("'" + name +
                                     "' is no calibration data: expected "
                                     ".npz, .npy, .pb, .bin or a folder");
    groups.push_back({{name.str()}, false});
    return llvm::Error::success();
  }
  if (std::vector<std::string> paths = findNumbered(name); !paths.empty()) {
    groups.push_back({std::move(paths), true});
    return llvm::Error::success();
  }
  auto names = listFolder(name);
  if (!names)
    return names.takeError();
  // Files called like the inputs belong together.
  std::vector<std::string> named;
  for (const std::string &file : *names)
    if (path::extension(file) == ".npy" &&
        llvm::any_of(inputs, [&](const ModelInput &input) {
          return input.name == path::stem(file);
        }))
      named.push_back(file);
  if (!named.empty()) {
    groups.push_back({std::move(named), false});
    return llvm::Error::success();
  }
  size_t before = groups.size();
  for (const std::string &file : *names) {
    bool isData = llvm::is_contained({".npz", ".npy", ".pb", ".bin"},
                                     path::extension(file));
    if (isData || (fs::is_directory(file) && depth < 2))
      if (llvm::Error error = findFiles(file, inputs, groups, depth + 1))
        return error;
  }
  if (groups.size() == before && depth == 0)
    return llvm::createStringError("the folder '" + name +
                                   "' has no .npz, .npy, .pb or .bin files");
  return llvm::Error::success();
}

llvm::Expected<std::vector<std::unique_ptr<ArrayFile>>>
openFiles(const FileGroup &group, const SampleOptions &options) {
  std::vector<std::unique_ptr<ArrayFile>> arrays;
  for (const std::string &file : group.paths) {
    StringRef extension = path::extension(file);
    if (extension == ".npz") {
      auto members = ArrayFile::openNpz(file);
      if (!members)
        return members.takeError();
      for (auto &member : *members)
        arrays.push_back(std::move(member));
      continue;
    }
    auto array = extension == ".npy" ? ArrayFile::openNpy(file)
                 : extension == ".pb"
                     ? ArrayFile::openTensorProto(file)
                     : ArrayFile::openRaw(file, options.tokenType);
    if (!array)
      return array.takeError();
    arrays.push_back(std::move(*array));
  }
  return std::move(arrays);
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

class Reader final : public SampleReader {
public:
  Reader(std::vector<ModelInput> inputs, const SampleOptions &options)
      : inputs(std::move(inputs)), options(options) {}

  llvm::Error findAll(llvm::ArrayRef<std::string> paths);
  uint64_t getNumBatches() const override { return numBatches; }
  uint64_t getNumSamples() const override { return numSamples; }
  llvm::Expected<SampleBatch> read(uint64_t index) override;

private:
  /// A group with the number of its first batch.
  struct Place {
    FileGroup group;
    uint64_t firstBatch, numSamples;
  };

  llvm::Expected<SampleSet> openSource(const FileGroup &group) {
    auto arrays = openFiles(group, options);
    if (!arrays)
      return arrays.takeError();
    return SampleSet::create(std::move(*arrays), inputs, options,
                             group.isByPosition, group.paths.front());
  }

  std::vector<ModelInput> inputs;
  SampleOptions options;
  std::vector<Place> places;
  uint64_t numBatches = 0, numSamples = 0;
  /// The one that is open, and which it is.
  std::optional<SampleSet> current;
  size_t currentPlace = 0;
};

llvm::Error Reader::findAll(llvm::ArrayRef<std::string> paths) {
  std::vector<FileGroup> groups;
  for (const std::string &name : paths)
    if (llvm::Error error = findFiles(name, inputs, groups))
      return error;
  for (FileGroup &group : groups) {
    if (options.samples && numSamples >= options.samples)
      break;
    llvm::Expected<SampleSet> source = openSource(group);
    if (!source)
      return source.takeError();
    uint64_t left = options.samples ? options.samples - numSamples : 0;
    source->limit(left);
    places.push_back({std::move(group), numBatches, source->getNumSamples()});
    numBatches += source->getNumBatches();
    numSamples += source->getNumSamples();
    currentPlace = places.size() - 1;
    current = std::move(*source);
  }
  if (numBatches)
    return llvm::Error::success();
  return llvm::createStringError(
      "the calibration data has no samples: '" +
      (paths.empty() ? std::string() : paths.front()) + "'");
}

llvm::Expected<SampleBatch> Reader::read(uint64_t index) {
  size_t at = places.size() - 1;
  while (places[at].firstBatch > index)
    --at;
  if (!current || currentPlace != at) {
    llvm::Expected<SampleSet> source = openSource(places[at].group);
    if (!source)
      return source.takeError();
    source->limit(places[at].numSamples);
    current = std::move(*source);
    currentPlace = at;
  }
  return current->read(index - places[at].firstBatch);
}

} // namespace

llvm::Expected<std::unique_ptr<SampleReader>>
SampleReader::open(llvm::ArrayRef<std::string> paths,
                   std::vector<ModelInput> inputs,
                   const SampleOptions &options) {
  auto reader = std::make_unique<Reader>(std::move(inputs), options);
  if (llvm::Error error = reader->findAll(paths))
    return std::move(error);
  return std::move(reader);
}
