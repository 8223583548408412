//===- FuzzCalibration.cpp - Any bytes as data and statistics -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The first byte chooses the kind of file: the text of statistics, a
// safetensors file as Hessians are kept in, or samples.
//
//===----------------------------------------------------------------------===//

#include "FuzzSupport.h"
#include "WireMutator.h"
#include "nibble/Calibration/Samples.h"
#include "nibble/Calibration/Statistics.h"
#include "nibble/Format/Safetensors/Safetensors.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>

using namespace nibble;
using namespace nibble::calibration;

namespace {

std::string print(const Statistics &statistics) {
  std::string text;
  llvm::raw_string_ostream os(text);
  statistics.print(os);
  return text;
}

/// Errors name the file.
void checkError(llvm::Error error, llvm::StringRef name) {
  std::string message = llvm::toString(std::move(error));
  if (!llvm::StringRef(message).contains(name))
    fuzz::fail("an error without the file: " + message);
}

void readStatistics(llvm::StringRef text) {
  auto statistics = Statistics::parse(text, "s.yaml");
  if (!statistics)
    return checkError(statistics.takeError(), "s.yaml");
  // What is written is read as the same.
  std::string written = print(*statistics);
  auto again = Statistics::parse(written, "s.yaml");
  if (!again)
    fuzz::fail("written but not read: " + llvm::toString(again.takeError()) +
               "\n" + written);
  if (print(*again) != written)
    fuzz::fail("read otherwise than written:\n" + written);
  if (llvm::Error error = again->merge(*statistics))
    llvm::consumeError(std::move(error));
}

/// Every byte that is promised is there.
void touch(llvm::ArrayRef<char> bytes) {
  volatile char sum = 0;
  for (char byte : bytes)
    sum = sum + byte;
}

void readSafetensors(llvm::StringRef bytes) {
  std::string path = fuzz::writeScratchFile("h.safetensors", bytes);
  auto file = format::SafetensorsFile::open(path);
  if (!file)
    return checkError(file.takeError(), "h.safetensors");
  for (const format::SafetensorsEntry &entry : (*file)->getEntries()) {
    llvm::ArrayRef<char> data = (*file)->getData(entry);
    if (data.size() != entry.getBytes())
      fuzz::fail("'" + entry.name + "' has another size");
    touch(data);
  }
}

/// As inputs of a model for images, and of one for tokens.
void readSamples(llvm::StringRef ending, llvm::StringRef bytes) {
  std::string name = ("x." + ending).str();
  std::string path = fuzz::writeScratchFile(name, bytes);
  ModelInput images{"x", NIBBLE_FLOAT, {-1, 2, 3}, -1};
  ModelInput tokens{"x", NIBBLE_INT64, {-1, -1}, -1};
  for (const ModelInput &input : {images, tokens}) {
    SampleOptions options;
    options.window = 4;
    auto reader = SampleReader::open({path}, {input}, options);
    if (!reader) {
      checkError(reader.takeError(), name);
      continue;
    }
    uint64_t count = std::min<uint64_t>((*reader)->getNumBatches(), 50);
    for (uint64_t i = 0; i != count; ++i) {
      auto batch = (*reader)->read(i);
      if (!batch) {
        checkError(batch.takeError(), name);
        break;
      }
      for (const nibble_tensor &tensor : batch->inputs)
        touch({static_cast<const char *>(tensor.data), tensor.bytes});
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  llvm::StringRef rest(reinterpret_cast<const char *>(data) + 1, size - 1);
  switch (data[0]) {
  case 'h':
    readSafetensors(rest);
    break;
  case 'y':
    readSamples("npy", rest);
    break;
  case 'z':
    readSamples("npz", rest);
    break;
  case 'p':
    readSamples("pb", rest);
    break;
  case 'b':
    readSamples("bin", rest);
    break;
  default:
    readStatistics(rest);
  }
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t maxSize, unsigned seed) {
  if (size < 2 || maxSize < 2 || data[0] != 'p')
    return fuzz::mutateBytes(data, size, maxSize);
  return 1 + fuzz::mutateWire(data + 1, size - 1, maxSize - 1, seed);
}
