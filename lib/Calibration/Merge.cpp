//===- Merge.cpp - Several statistics files as one ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/Merge.h"
#include "nibble/Calibration/Statistics.h"
#include "nibble/Format/Safetensors/Safetensors.h"
#include "nibble/Support/AtomicFile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Path.h"

using namespace nibble;
using namespace nibble::calibration;
using llvm::StringRef;

/// The files of Hessians with the statistics that they belong to, in an order
/// that follows from what they hold.
using HessianParts =
    std::vector<std::pair<const Statistics *, std::unique_ptr<HessianFile>>>;

static llvm::Expected<HessianParts>
openAll(const std::vector<Statistics> &parts) {
  HessianParts files;
  for (const Statistics &part : parts) {
    auto file = part.openHessians();
    if (!file)
      return file.takeError();
    files.emplace_back(&part, std::move(*file));
  }
  llvm::sort(files, [](const auto &a, const auto &b) {
    return a.first->hessians->checksum < b.first->hessians->checksum;
  });
  return std::move(files);
}

/// Sums of all parts that have seen a layer.
static llvm::Expected<std::vector<float>>
addUp(const HessianParts &files, const LayerStatistics &layer, int64_t group) {
  std::vector<double> sum(layer.hessianSize * layer.hessianSize);
  for (const auto &[part, file] : files) {
    const LayerStatistics *seen = part->findLayer(layer.name);
    if (!seen || !seen->rows)
      continue;
    auto values = file->get(*seen, group);
    if (!values)
      return values.takeError();
    for (size_t i = 0; i != sum.size(); ++i)
      sum[i] += (*values)[i];
  }
  return std::vector<float>(sum.begin(), sum.end());
}

static llvm::Error writeHessians(const std::vector<Statistics> &parts,
                                 Statistics &merged, AtomicFile &file) {
  auto files = openAll(parts);
  if (!files)
    return files.takeError();
  std::vector<format::SafetensorsEntry> entries;
  std::vector<std::pair<const LayerStatistics *, int64_t>> sources;
  for (const LayerStatistics &layer : merged.layers)
    for (int64_t g = 0; layer.hessianSize && g != layer.hessianCount; ++g) {
      entries.push_back({getHessianName(layer.name, g),
                         "F32",
                         {layer.hessianSize, layer.hessianSize}});
      sources.emplace_back(&layer, g);
    }
  // All of it is read before the first byte is written.
  for (auto [layer, group] : sources)
    for (const auto &[part, file] : *files)
      if (const LayerStatistics *seen = part->findLayer(layer->name);
          seen && seen->rows)
        if (auto values = file->get(*seen, group); !values)
          return values.takeError();
  auto fill = [&](size_t i, auto write) {
    std::vector<float> sum =
        llvm::cantFail(addUp(*files, *sources[i].first, sources[i].second));
    write(llvm::ArrayRef(reinterpret_cast<const char *>(sum.data()),
                         sum.size() * sizeof(float)));
  };
  auto summary = format::writeSafetensors(file, entries, {}, fill);
  if (!summary)
    return summary.takeError();
  merged.hessians = {llvm::sys::path::filename(file.getPath()).str(),
                     summary->checksum, summary->bytes};
  return llvm::Error::success();
}

llvm::Error nibble::mergeStatistics(llvm::ArrayRef<std::string> files,
                                    StringRef output) {
  if (llvm::Error error = AtomicFile::check(output))
    return error;
  std::vector<Statistics> parts;
  for (const std::string &file : files) {
    auto part = Statistics::read(file);
    if (!part)
      return part.takeError();
    parts.push_back(std::move(*part));
  }
  auto merged = Statistics::mergeAll(parts);
  if (!merged)
    return merged.takeError();
  size_t withHessians = llvm::count_if(
      parts, [](const Statistics &part) { return part.hessians.has_value(); });
  if (withHessians != 0 && withHessians != parts.size())
    return llvm::createStringError(
        "some of the statistics have Hessians and others have none: calibrate "
        "all with --hessian, or none");
  merged->hessians.reset();
  if (!withHessians)
    return merged->write(output);
  auto hessians = AtomicFile::create(getHessianPath(output));
  if (!hessians)
    return hessians.takeError();
  if (llvm::Error error = writeHessians(parts, *merged, *hessians))
    return error;
  return merged->write(output, &*hessians);
}
