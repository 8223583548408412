//===- Collector.cpp - Statistics of values that stream by ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CollectorState.h"
#include "nibble/Calibration/Observed.h"
#include "nibble/Calibration/Ranges.h"
#include "nibble/Format/Safetensors/Safetensors.h"
#include "nibble/Quantizer/Scheme.h"
#include "nibble/Support/AtomicFile.h"
#include "nibble/Support/Parallel.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <cstring>
#include <unistd.h>

using namespace nibble;
using namespace nibble::calibration;
using llvm::ArrayRef;

/// Least and largest element, and whether all are finite. Plain loops, so that
/// they become vector code.
static bool findExtremes(ArrayRef<float> values, float &least, float &largest) {
  float low = values.front(), high = values.front();
  uint32_t special = 0;
  for (float x : values) {
    low = x < low ? x : low;
    high = x > high ? x : high;
    uint32_t bits = llvm::bit_cast<uint32_t>(x);
    special |= (bits & 0x7f800000u) == 0x7f800000u;
  }
  least = low;
  largest = high;
  return !special;
}

static llvm::Error refuse(const ObservedValue &what, ArrayRef<float> values) {
  size_t at = 0;
  while (std::isfinite(values[at]))
    ++at;
  return llvm::createStringError(
      (what.isLayer ? "the input of layer '" : "tensor '") + what.name +
      "' has " + (std::isnan(values[at]) ? "NaN" : "infinity") +
      " at element " + llvm::Twine(at));
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

void TensorState::add(ArrayRef<float> values, float low, float high,
                      const RangeOptions &options) {
  bool isFirst = statistics.count == 0;
  statistics.min = isFirst ? low : std::min(statistics.min, low);
  statistics.max = isFirst ? high : std::max(statistics.max, high);
  statistics.count += values.size();
  float absMax = std::max(std::fabs(low), std::fabs(high));
  Range now = options.symmetric ? Range{-absMax, absMax} : Range{low, high};
  auto weight = static_cast<float>(options.averagingConstant);
  if (statistics.batches++ == 0) {
    statistics.range = now;
  } else {
    statistics.range.low += weight * (now.low - statistics.range.low);
    statistics.range.high += weight * (now.high - statistics.range.high);
  }
  if (!options.needsHistogram())
    return;
  if (!statistics.histogram)
    statistics.histogram.emplace();
  statistics.histogram->add(values, absMax);
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

void LayerState::begin(int64_t newChannels) {
  channels = newChannels;
  constexpr float limit = std::numeric_limits<float>::max();
  min.assign(channels, limit);
  max.assign(channels, -limit);
  for (std::vector<double> *sums : {&sum, &sumAbsolute, &sumSquare})
    sums->assign(channels, 0);
}

/// Rows that lie one after the other. Parts of the channels go to threads, so
/// that each sum is made by one.
void LayerState::addRows(const float *values, int64_t numRows,
                         unsigned threads) {
  constexpr int64_t chunk = 64;
  parallelFor(channels, chunk, threads, [&](int64_t first, int64_t last) {
    for (int64_t row = 0; row != numRows; ++row)
      for (int64_t c = first; c != last; ++c) {
        float x = values[row * channels + c];
        min[c] = x < min[c] ? x : min[c];
        max[c] = x > max[c] ? x : max[c];
        sum[c] += x;
        sumAbsolute[c] += std::fabs(x);
        sumSquare[c] += static_cast<double>(x) * x;
      }
  });
  for (int64_t row = 0; row != numRows; ++row) {
    float absMax = 0;
    for (float x : ArrayRef(values + row * channels, channels))
      absMax = std::fabs(x) > absMax ? std::fabs(x) : absMax;
    addToken(absMax);
  }
}

/// Planes of the channels, one after the other: [channels, plane].
void LayerState::addPlanes(const float *values, int64_t plane,
                           unsigned threads) {
  std::vector<float> absMax(plane);
  parallelFor(channels, 8, threads, [&](int64_t first, int64_t last) {
    for (int64_t c = first; c != last; ++c)
      for (float x : ArrayRef(values + c * plane, plane)) {
        min[c] = x < min[c] ? x : min[c];
        max[c] = x > max[c] ? x : max[c];
        sum[c] += x;
        sumAbsolute[c] += std::fabs(x);
        sumSquare[c] += static_cast<double>(x) * x;
      }
  });
  for (int64_t c = 0; c != channels; ++c)
    for (int64_t i = 0; i != plane; ++i)
      absMax[i] = std::max(absMax[i], std::fabs(values[c * plane + i]));
  for (float value : absMax)
    addToken(value);
}

void LayerState::addToken(float absMax) {
  tokenMin = rows ? std::min(tokenMin, absMax) : absMax;
  tokenMax = std::max(tokenMax, absMax);
  tokenSum += absMax;
  ++rows;
}

LayerStatistics LayerState::get() const {
  LayerStatistics result;
  result.name = what.name;
  result.operatorType = what.operatorType;
  result.rows = rows;
  if (!rows)
    return result;
  auto count = static_cast<double>(rows);
  result.tokenAbsMaxMin = tokenMin;
  result.tokenAbsMaxMean = static_cast<float>(tokenSum / count);
  result.tokenAbsMaxMax = tokenMax;
  result.min = min;
  result.max = max;
  for (int64_t c = 0; c != channels; ++c) {
    result.absMax.push_back(std::max(std::fabs(min[c]), std::fabs(max[c])));
    result.mean.push_back(static_cast<float>(sum[c] / count));
    result.meanAbsolute.push_back(static_cast<float>(sumAbsolute[c] / count));
    result.meanSquare.push_back(static_cast<float>(sumSquare[c] / count));
  }
  if (hessian) {
    result.hessianSize = hessian->getSize();
    result.hessianCount = hessian->getCount();
  }
  return result;
}

llvm::Error LayerState::createHessian(uint64_t &memory) {
  int64_t size = channels, count = 1;
  if (what.window) {
    count = what.window->groups;
    size = channels / count;
    for (int64_t taps : what.window->kernel)
      size *= taps;
  }
  llvm::Expected<std::unique_ptr<HessianSum>> created =
      HessianSum::create(size, count, memory);
  if (!created)
    return llvm::createStringError("layer '" + what.name +
                                   "': " + llvm::toString(created.takeError()));
  hessian = std::move(*created);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Collector
//===----------------------------------------------------------------------===//

Collector::Collector(const CollectorOptions &options)
    : implementation(std::make_unique<Implementation>()) {
  implementation->options = options;
  uint64_t memory = options.memoryLimit;
  if (memory == 0)
    memory = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
             static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 4;
  implementation->memoryLeft = memory;
}

Collector::~Collector() = default;

void Collector::add(const ObservedValue &value) {
  Implementation &state = *implementation;
  if (value.isLayer) {
    state.places[value.id] = {true, state.layers.size()};
    state.layers.emplace_back().what = value;
    return;
  }
  state.places[value.id] = {false, state.tensors.size()};
  TensorState &tensor = state.tensors.emplace_back();
  tensor.what = value;
  tensor.statistics.name = value.name;
  tensor.statistics.operatorType = value.operatorType;
}

size_t Collector::getNumTensors() const {
  return implementation->tensors.size();
}
size_t Collector::getNumLayers() const { return implementation->layers.size(); }

llvm::Error Collector::observe(const nibble_observation &value) {
  Implementation &state = *implementation;
  auto found = state.places.find(value.id);
  if (found == state.places.end())
    return llvm::createStringError("a value with the unknown number " +
                                   llvm::Twine(value.id) + " was shown");
  auto [isLayer, index] = found->second;
  const ObservedValue &what =
      isLayer ? state.layers[index].what : state.tensors[index].what;
  if (value.dtype != NIBBLE_FLOAT && value.dtype != NIBBLE_DOUBLE &&
      value.dtype != NIBBLE_FLOAT16 && value.dtype != NIBBLE_BFLOAT16)
    return llvm::createStringError("'" + what.name + "' has elements of type " +
                                   nibble_dtype_name(value.dtype) +
                                   ", which have no statistics");
  ArrayRef<float> values = getFloats(value, state.buffer);
  if (values.empty())
    return llvm::Error::success();
  float low, high;
  if (!findExtremes(values, low, high))
    return refuse(what, values);
  if (isLayer)
    return state.addLayer(state.layers[index], values,
                          ArrayRef(value.dims, value.rank));
  state.tensors[index].add(values, low, high, state.options.range);
  return llvm::Error::success();
}

llvm::Error Collector::Implementation::addLayer(LayerState &layer,
                                                ArrayRef<float> values,
                                                ArrayRef<int64_t> dims) {
  const ObservedValue &what = layer.what;
  auto rank = static_cast<int64_t>(dims.size());
  int64_t axis =
      what.channelAxis < 0 ? rank + what.channelAxis : what.channelAxis;
  if (axis < 0 || axis >= rank)
    return llvm::createStringError("the input of layer '" + what.name +
                                   "' has no channels: its rank is " +
                                   llvm::Twine(rank));
  if (layer.rows == 0) {
    layer.begin(dims[axis]);
    if (options.hessian)
      if (llvm::Error error = layer.createHessian(memoryLeft))
        return error;
  }
  if (dims[axis] != layer.channels)
    return llvm::createStringError("the input of layer '" + what.name +
                                   "' has " + llvm::Twine(dims[axis]) +
                                   " channels, and had " +
                                   llvm::Twine(layer.channels) + " before");
  int64_t plane = 1, outer = 1;
  for (int64_t i = 0; i != rank; ++i)
    (i < axis ? outer : plane) *= i == axis ? 1 : dims[i];
  if (plane == 1)
    layer.addRows(values.data(), outer, options.threads);
  else
    for (int64_t i = 0; i != outer; ++i)
      layer.addPlanes(values.data() + i * layer.channels * plane, plane,
                      options.threads);
  if (!layer.hessian)
    return llvm::Error::success();
  if (what.window) {
    if (llvm::Error error = layer.hessian->addWindows(
            values, dims, *what.window, options.threads))
      return error;
  } else {
    layer.hessian->addRows(0, values.data(), outer, options.threads);
  }
  layer.hessian->release();
  return llvm::Error::success();
}

Statistics Collector::getStatistics() const {
  const Implementation &state = *implementation;
  Statistics result;
  result.options = state.options.range;
  for (const TensorState &tensor : state.tensors) {
    result.tensors.push_back(tensor.statistics);
    TensorStatistics &added = result.tensors.back();
    added.range = chooseRange(added, state.options.range);
  }
  for (const LayerState &layer : state.layers)
    result.layers.push_back(layer.get());
  return result;
}

llvm::Expected<std::optional<HessianReference>>
Collector::writeHessians(AtomicFile &file) const {
  std::vector<format::SafetensorsEntry> entries;
  std::vector<std::pair<HessianSum *, int64_t>> sums;
  for (const LayerState &layer : implementation->layers) {
    if (!layer.hessian)
      continue;
    int64_t size = layer.hessian->getSize();
    for (int64_t g = 0; g != layer.hessian->getCount(); ++g) {
      entries.push_back(
          {getHessianName(layer.what.name, g), "F32", {size, size}});
      sums.emplace_back(layer.hessian.get(), g);
    }
  }
  if (entries.empty())
    return std::nullopt;
  std::vector<float> row;
  auto fill = [&](size_t i, auto write) {
    auto [sum, group] = sums[i];
    row.resize(sum->getSize());
    for (int64_t r = 0; r != sum->getSize(); ++r) {
      sum->readRow(group, r, row.data());
      write(ArrayRef(reinterpret_cast<const char *>(row.data()),
                     row.size() * sizeof(float)));
    }
    sum->release();
  };
  auto summary = format::writeSafetensors(file, entries, {}, fill);
  if (!summary)
    return summary.takeError();
  return HessianReference{llvm::sys::path::filename(file.getPath()).str(),
                          summary->checksum, summary->bytes};
}
