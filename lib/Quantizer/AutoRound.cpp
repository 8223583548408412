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
#include "nibble/Quantizer/DenseMath.h"
#include "nibble/Quantizer/Method.h"
#include "nibble/Quantizer/RTN.h"
#include "nibble/Support/Parallel.h"
#include <algorithm>
#include <cmath>

using namespace nibble::quantizer;

/// A group with the scale and zero that its parameters give.
struct RoundingLearner::Group {
  int64_t begin, length;
  GroupParameters parameters;
  float low, high, unit;

  /// Rounded w / s + v before it is clamped to [low, high].
  float round(float weight, float offset) const {
    // Only numbers of this size have digits behind the point.
    float place = std::clamp(weight / unit, -0x1p21f, 0x1p21f) + offset;
    return place + roundingConstant - roundingConstant;
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
  if (!(startMargin > 0 && startMargin <= 0.5))
    return llvm::createStringError(
        "expected a start margin above 0 and at most 0.5, got " +
        std::to_string(startMargin));
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

/// The range of a group from which `getParameters` makes this scale and zero.
/// Of a symmetric one the side that has the larger weights sets the scale.
static std::pair<float, float> getRange(const QuantizationScheme &scheme,
                                        GroupParameters parameters, float min,
                                        float max) {
  double scale = parameters.scale;
  if (!scheme.symmetric)
    return {
        static_cast<float>(-parameters.zero * scale),
        static_cast<float>((scheme.getMaxCode() - parameters.zero) * scale)};
  int zero = scheme.getSymmetricZero();
  double steps = scheme.scaleRule == ScaleRule::SignedMax   ? -zero
                 : scheme.scaleRule == ScaleRule::FullRange ? zero - 0.5
                                                            : zero - 1;
  double end = scale * steps;
  bool highest =
      scheme.scaleRule == ScaleRule::SignedMax ? end > 0 : max > -min;
  float size = static_cast<float>(std::abs(end));
  // Equal sides would both have to shrink before the scale does.
  float other = std::min(highest ? -min : max, 0.999f * size);
  return highest ? std::pair(-other, size) : std::pair(-size, other);
}

void RoundingLearner::startAt(const QuantizedWeight &start) {
  float slack = static_cast<float>(0.5 - options.startMargin);
  units = start.scales;
  parallelFor(rows, 16, threads, [&](int64_t first, int64_t last) {
    for (int64_t at = first * groups; at < last * groups; ++at) {
      int zero = start.zeros.empty() ? scheme.getSymmetricZero()
                                     : int(start.zeros[at]);
      std::tie(minima[at], maxima[at]) =
          getRange(scheme, {start.scales[at], zero}, minima[at], maxima[at]);
      Group group = getGroup(at / groups, at % groups);
      for (int64_t i = group.begin; i < group.begin + group.length; ++i) {
        // What the largest codes stand for has no end.
        float code = static_cast<float>(int(start.codes[i]) - zero);
        float place = weight[i] / group.unit;
        float from = code == group.low ? place : code - slack;
        float to = code == group.high ? place : code + slack;
        weight[i] = group.unit * std::max(std::min(place, to), from);
      }
    }
  });
}

llvm::Expected<RoundingLearner>
RoundingLearner::createFrom(const WeightView &weight,
                            const QuantizedWeight &start,
                            const AutoRoundOptions &options, unsigned threads) {
  auto learner = create(weight, start.scheme, options, threads);
  if (learner)
    learner->startAt(start);
  return learner;
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
  result.unit = units.empty() ? result.parameters.scale : units[at];
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
      byScale +=
          slope * (units.empty() ? clamped - weight[i] / scale : clamped);
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

//===----------------------------------------------------------------------===//
// The method of a single layer
//===----------------------------------------------------------------------===//

/// Without the rest of the model: least error of the layer's own outputs, which
/// is tr(d H d^T) for the error d of the weight.
static llvm::Error learnLayer(const MethodInput &input,
                              QuantizedWeight &result) {
  int64_t rows = input.weight.rows, cols = input.weight.cols;
  auto learner = RoundingLearner::create(input.weight, input.scheme,
                                         AutoRoundOptions(), input.threads);
  if (!learner)
    return learner.takeError();
  std::vector<float> weight(rows * cols), error(rows * cols),
      gradient(rows * cols);
  copyTile(input.weight, 0, rows, 0, cols, weight.data());
  double best = std::numeric_limits<double>::infinity();
  for (unsigned i = 0; i <= AutoRoundOptions().iterations; ++i) {
    learner->dequantize(error);
    for (auto [e, w] : llvm::zip_equal(error, weight))
      e -= w;
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    addProduct({error.data(), rows, cols, cols},
               {input.hessian.data(), cols, cols, cols},
               {gradient.data(), rows, cols, cols}, /*upperOnly=*/false,
               input.threads);
    double loss = 0;
    for (auto [e, g] : llvm::zip_equal(error, gradient))
      loss += static_cast<double>(e) * g;
    if (loss < best) {
      best = loss;
      learner->keep();
    }
    learner->step(gradient);
  }
  learner->restore();
  return learner->quantize(result);
}

static const Method autoRoundMethod = {
    "autoround", "roundings learned on what blocks compute; needs samples",
    RoundingLearner::supports, learnLayer, /*needsHessian=*/true};
static RegisterMethod registerAutoRound(autoRoundMethod);
