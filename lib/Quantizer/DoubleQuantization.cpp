//===- DoubleQuantization.cpp - Scales in 8 bits --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/DoubleQuantization.h"
#include "nibble/Quantizer/Codebook.h"
#include <algorithm>
#include <cmath>

using namespace nibble::quantizer;

/// Points of [-1, 1] whose codes are looked up.
static constexpr int numPoints = 1 << 16;

/// The code of each point: the number of midpoints below it.
static std::vector<uint8_t> makeLookup() {
  llvm::ArrayRef<float> map = getDynamicMap();
  std::vector<uint8_t> lookup(numPoints);
  size_t code = 0;
  for (int i = 0; i < numPoints; ++i) {
    float offset = (2.0f * static_cast<float>(i)) / (numPoints - 1);
    float point = -1.0f + offset;
    while (code + 1 < map.size() && 0.5f * (map[code] + map[code + 1]) < point)
      ++code;
    lookup[i] = static_cast<uint8_t>(code);
  }
  return lookup;
}

static uint8_t getDynamicCode(float value) {
  static const std::vector<uint8_t> lookup = makeLookup();
  float scaled = (std::clamp(value, -1.0f, 1.0f) + 1.0f) * 0.5f;
  scaled *= numPoints - 1;
  return lookup[static_cast<int>(scaled + 0.5f)];
}

static llvm::Error checkFinite(float value, ScaleType type) {
  if (std::isfinite(value))
    return llvm::Error::success();
  return llvm::createStringError("scales are too large for a second level of " +
                                 stringifyScaleType(type) +
                                 ": use a wider type, or no double "
                                 "quantization");
}

llvm::Error nibble::quantizer::encodeSecondLevel(
    llvm::ArrayRef<float> values, const SecondLevel &level,
    std::optional<float> offset, llvm::MutableArrayRef<uint8_t> codes,
    llvm::MutableArrayRef<float> second) {
  size_t length = second.size() / (level.hasOffset ? 2 : 1);
  float shift = 0;
  if (level.hasOffset) {
    double sum = 0;
    for (float value : values)
      sum += value;
    float mean =
        values.empty() ? 0.0f : static_cast<float>(sum / values.size());
    shift = roundToScaleType(offset.value_or(mean), level.type);
    if (llvm::Error error = checkFinite(shift, level.type))
      return error;
    std::fill(second.begin() + length, second.end(), shift);
  }
  for (size_t group = 0; group < length; ++group) {
    size_t first = group * level.group;
    size_t end = std::min<size_t>(first + level.group, values.size());
    float largest = 0;
    for (size_t i = first; i < end; ++i)
      largest = std::max(largest, std::fabs(values[i] - shift));
    float scale =
        roundToScaleType(level.dynamic ? largest : largest / 127, level.type);
    if (llvm::Error error = checkFinite(scale, level.type))
      return error;
    second[group] = scale;
    // bitsandbytes multiplies with the reciprocal, which for the smallest
    // scales is infinite: all but zero goes to the ends of the map.
    float factor = 1.0f / scale;
    for (size_t i = first; i < end; ++i) {
      float value = values[i] - shift;
      if (level.dynamic)
        codes[i] =
            scale == 0 ? 0 : getDynamicCode(value == 0 ? 0 : value * factor);
      else
        codes[i] = scale == 0 ? 0
                              : static_cast<int8_t>(std::nearbyint(std::clamp(
                                    value / scale, -127.0f, 127.0f)));
    }
  }
  return llvm::Error::success();
}

llvm::Error nibble::quantizer::quantizeScales(QuantizedWeight &weight) {
  const QuantizationScheme &scheme = weight.scheme;
  int64_t length = scheme.getSecondLength(weight.rows, weight.cols);
  weight.second.assign(scheme.getSecondRows() * length, 0.0f);
  llvm::MutableArrayRef<float> second = weight.second;
  auto encode = [&](llvm::ArrayRef<float> values, std::vector<uint8_t> &codes) {
    size_t count = length * (scheme.second->hasOffset ? 2 : 1);
    llvm::MutableArrayRef<float> part = second.take_front(count);
    second = second.drop_front(count);
    codes.resize(values.size());
    return encodeSecondLevel(values, *scheme.second, std::nullopt, codes, part);
  };
  if (llvm::Error error = encode(weight.scales, weight.scaleCodes))
    return error;
  if (scheme.hasFloatZeros())
    if (llvm::Error error = encode(weight.floatZeros, weight.zeroCodes))
      return error;
  decodeSecondLevel(weight);
  return llvm::Error::success();
}
