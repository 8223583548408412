//===- Hessians.cpp - The file beside the statistics ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Statistics.h"
#include "nibble/Format/Safetensors/Safetensors.h"
#include "nibble/Runtime/Hash.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"

using namespace nibble;
using namespace nibble::calibration;
using llvm::StringRef;

HessianFile::~HessianFile() = default;

namespace {
struct MappedHessians : HessianFile {
  std::unique_ptr<format::SafetensorsFile> file;
  std::string path;

  llvm::Expected<llvm::ArrayRef<float>> get(const LayerStatistics &layer,
                                            int64_t group) const override {
    if (!layer.hessianSize || group >= layer.hessianCount)
      return llvm::createStringError(
          "layer '" + layer.name +
          "' has no Hessian: run nibble-calibrate with --hessian");
    std::string name = getHessianName(layer.name, group);
    const format::SafetensorsEntry *entry = file->find(name);
    std::vector<int64_t> shape = {layer.hessianSize, layer.hessianSize};
    if (!entry || entry->dtype != "F32" || entry->shape != shape)
      return llvm::createStringError("'" + path + "' has no array '" + name +
                                     "' of " + llvm::Twine(layer.hessianSize) +
                                     " x " + llvm::Twine(layer.hessianSize) +
                                     " floats");
    llvm::ArrayRef<char> data = file->getData(*entry);
    return llvm::ArrayRef(reinterpret_cast<const float *>(data.data()),
                          data.size() / sizeof(float));
  }
};
} // namespace

llvm::Expected<std::unique_ptr<HessianFile>> Statistics::openHessians() const {
  if (!hessians)
    return llvm::createStringError(
        (fileName.empty() ? "" : fileName + ": ") +
        "the statistics have no Hessians: run nibble-calibrate with --hessian");
  llvm::SmallString<128> path(hessians->file);
  if (!llvm::sys::path::is_absolute(hessians->file)) {
    path = llvm::sys::path::parent_path(fileName);
    llvm::sys::path::append(path, hessians->file);
  }
  auto result = std::make_unique<MappedHessians>();
  result->path = path.str().str();
  auto file = format::SafetensorsFile::open(path);
  if (!file)
    return llvm::createStringError("the Hessians of '" + fileName +
                                   "': " + llvm::toString(file.takeError()));
  result->file = std::move(*file);
  StringRef buffer = result->file->getBuffer();
  NibbleHash hash;
  nibbleHashBegin(&hash);
  nibbleHashAdd(&hash, buffer.data(), buffer.size());
  if (buffer.size() != hessians->bytes ||
      nibbleHashEnd(&hash) != hessians->checksum)
    return llvm::createStringError(
        "'" + path + "' is not the file that '" + fileName +
        "' was written with, or is damaged: its checksum differs; run "
        "nibble-calibrate again");
  return std::move(result);
}
