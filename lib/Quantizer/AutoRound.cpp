//===- AutoRound.cpp - Roundings and ranges learned by gradients -*- C++
//-*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/AutoRound.h"
#include "GroupParameters.h"
#include "nibble/Quantizer/RTN.h"
#include "nibble/Support/Parallel.h"
#include <algorithm>
#include <cmath>

using namespace nibble::quantizer;

/// A group with the scale and zero that its parameters give.
struct RoundingLearner::Group {
  int64_t begin, length;
  GroupParameters parameters;
  float low, high;

  /// Rounded w / s + v before it is clamped to [low, high].
  float round(float weight, float offset) const {
    return std::nearbyint(weight / parameters.scale + offset);
  }
  float clamp(float code) const { return std::clamp(code, low, high); }
};

llvm::Error AutoRoundOptions::verify() const {
  if (iterations > 1000000)
    return llvm::createStringError("expected at most 1000000 iterations, got " +
                                   std::to_string(iterations));
  for (double value : {rate, rangeRate})
    if (!(value >= 0 && value <= 1))
      return llvm::createStringError(
          "expected a learning rate between 0 and 1, got " +
          std::to_string(value));
  return llvm::Error::success();
}

llvm::Error RoundingLearner::supports(const QuantizationScheme &scheme) {
  if (scheme.codebook != Codebook::Int)
    return llvm::createStringError("autoround needs integer codes, got " +
                                   stringifyCodebook(scheme.codebook));
  if (scheme.second || scheme.hasFloatZeros())
    return llvm::createStringError(
        "autoround needs one level of scales and integer zero points");
  if (scheme.scaleRule == ScaleRule::MSE || scheme.scaleRule == ScaleRule::GGML)
    return llvm::createStringError("autoround learns ranges itself: the scale "
                                   "rule " +
                                   stringifyScaleRule(scheme.scaleRule) +
                                   " does not go with it");
  return llvm::Error::success();
}

llvm::Expected<RoundingLearner>
RoundingLearner::create(const WeightView &weight,
                        const QuantizationScheme &scheme,
                        const AutoRoundOptions &options, unsigned threads) {
  if (llvm::Error error = scheme.verify())
    return error;
  if (llvm::Error error = supports(scheme))
    return error;
  if (llvm::Error error = options.verify())
    return error;
  RoundingLearner result;
  result.scheme = scheme;
  result.options = options;
  result.threads = threads;
  result.rows = weight.rows;
  result.cols = weight.cols;
  result.groups = scheme.getNumGroups(weight.cols);
  result.groupLength = scheme.getGroupLength(weight.cols);
  // Rounding to nearest finds weights that are not finite and scales that are
  // too large, and says where; ranges only shrink from here on.
  QuantizedWeight nearest(scheme, weight.rows, weight.cols);
  if (llvm::Error error = quantizeRTN(weight, scheme, nearest.codes,
                                      nearest.scales, nearest.zeros, threads))
    return error;

  result.weight.resize(weight.rows * weight.cols);
  result.now.offsets.assign(result.weight.size(), 0);
  int64_t numGroups = result.rows * result.groups;
  result.now.low.assign(numGroups, 1);
  result.now.high.assign(numGroups, 1);
  result.minima.resize(numGroups);
  result.maxima.resize(numGroups);
  parallelFor(result.rows, 16, threads, [&](int64_t first, int64_t last) {
    copyTile(weight, first, last - first, 0, weight.cols,
             &result.weight[first * weight.cols]);
    for (int64_t g = first * result.groups; g < last * result.groups; ++g) {
      int64_t row = g / result.groups,
              begin = g % result.groups * result.groupLength;
      float *from = &result.weight[row * weight.cols + begin];
      float *to = from + std::min(result.groupLength, weight.cols - begin);
      result.minima[g] = std::min(0.0f, *std::min_element(from, to));
      result.maxima[g] = std::max(0.0f, *std::max_element(from, to));
    }
  });
  result.keep();
  return result;
}

RoundingLearner::Group RoundingLearner::getGroup(int64_t row,
                                                 int64_t group) const {
  int64_t at = row * groups + group, begin = group * groupLength;
  Group result;
  result.begin = row * cols + begin;
  result.length = std::min(groupLength, cols - begin);
  result.parameters = getParameters(scheme, minima[at] * now.low[at],
                                    maxima[at] * now.high[at]);
  std::tie(result.low, result.high) = getLimits(scheme, result.parameters.zero);
  return result;
}

void RoundingLearner::dequantize(llvm::MutableArrayRef<float> out) const {
  parallelFor(rows, 16, threads, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      for (int64_t g = 0; g < groups; ++g) {
        Group group = getGroup(row, g);
        for (int64_t i = group.begin; i < group.begin + group.length; ++i)
          out[i] = group.parameters.scale *
                   group.clamp(group.round(weight[i], now.offsets[i]));
      }
  });
}

void RoundingLearner::stepGroup(int64_t row, int64_t g, const float *gradient,
                                float rate, float rangeRate) {
  auto sign = [](double x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f; };
  Group group = getGroup(row, g);
  float scale = group.parameters.scale;
  // Roundings have slope 1. By the scale, and by the end of the range that
  // moves the zero, which only clamped codes feel.
  double byScale = 0, byClamped = 0;
  for (int64_t i = group.begin; i < group.begin + group.length; ++i) {
    float code = group.round(weight[i], now.offsets[i]);
    float clamped = group.clamp(code);
    double slope = gradient[i];
    if (code == clamped) {
      byScale += slope * (clamped - weight[i] / scale);
      float offset = now.offsets[i] - rate * sign(slope * scale);
      now.offsets[i] = std::clamp(offset, -0.5f, 0.5f);
    } else {
      byScale += slope * clamped;
      byClamped += slope;
    }
  }
  if (!options.learnRange)
    return;
  int64_t at = row * groups + g;
  double min = minima[at], max = maxima[at];
  double byLow = 0, byHigh = 0;
  if (scheme.symmetric) {
    // The side of the larger magnitude sets the scale.
    bool highest = max * now.high[at] > -min * now.low[at];
    double perRange = scale == 0 ? 0
                      : highest  ? scale / (max * now.high[at])
                                 : scale / (min * now.low[at]);
    (highest ? byHigh : byLow) = byScale * perRange * (highest ? max : min);
  } else {
    // s = (high - low) / n, zero = -low / s: a clamped weight is s (c - zero),
    // which is low + s c.
    double n = scheme.getMaxCode();
    double zeroPart = byClamped * (-min * now.low[at]) / scale;
    double all = byScale + zeroPart;
    byLow = (-all / n + byClamped) * min;
    byHigh = all / n * max;
  }
  auto move = [&](float &part, double slope) {
    // A range of nothing has no scale.
    part = std::clamp(part - rangeRate * sign(slope), 1e-3f, 1.0f);
  };
  move(now.low[at], byLow);
  move(now.high[at], byHigh);
}

void RoundingLearner::step(llvm::ArrayRef<float> gradient) {
  if (steps >= options.iterations)
    return;
  double first = options.rate ? options.rate : 1.0 / options.iterations;
  double left = 1.0 - static_cast<double>(steps) / options.iterations;
  double range = options.rangeRate ? options.rangeRate : first;
  ++steps;
  parallelFor(rows, 16, threads, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t g = 0; g < groups; ++g)
        stepGroup(row, g, gradient.data(), static_cast<float>(first * left),
                  static_cast<float>(range * left));
  });
}

void RoundingLearner::keep() { kept = now; }
void RoundingLearner::restore() { now = kept; }

llvm::Error RoundingLearner::quantize(QuantizedWeight &result) const {
  parallelFor(rows, 16, threads, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row)
      for (int64_t g = 0; g < groups; ++g) {
        Group group = getGroup(row, g);
        int zero = group.parameters.zero;
        result.scales[row * groups + g] = group.parameters.scale;
        if (scheme.hasIntegerZeros())
          result.zeros[row * groups + g] = static_cast<uint8_t>(zero);
        for (int64_t i = group.begin; i < group.begin + group.length; ++i)
          result.codes[i] = static_cast<uint8_t>(
              zero + group.clamp(group.round(weight[i], now.offsets[i])));
      }
  });
  return llvm::Error::success();
}
