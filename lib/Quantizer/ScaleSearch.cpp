//===- ScaleSearch.cpp - Scales of input channels -------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/ScaleSearch.h"
#include "nibble/Support/Parallel.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cmath>

using namespace nibble;
using namespace nibble::quantizer;
using llvm::ArrayRef;

/// Columns that one thread works on: sums of a column are taken by one thread,
/// in row order.
static constexpr int64_t tileCols = 64, tileRows = 64;

std::vector<float>
quantizer::getRelativeMagnitudes(ArrayRef<WeightView> weights,
                                 const QuantizationScheme &scheme,
                                 unsigned threads) {
  int64_t cols = weights.front().cols;
  int64_t length = scheme.getGroupLength(cols);
  std::vector<float> result(cols);
  parallelFor(
      scheme.getNumGroups(cols), 1, threads, [&](int64_t group, int64_t) {
        int64_t first = group * length, count = std::min(length, cols - first);
        std::vector<float> tile(tileRows * count);
        std::vector<double> sums(count);
        int64_t rows = 0;
        for (const WeightView &weight : weights) {
          rows += weight.rows;
          for (int64_t row = 0; row < weight.rows; row += tileRows) {
            int64_t numRows = std::min(tileRows, weight.rows - row);
            copyTile(weight, row, numRows, first, count, tile.data());
            for (int64_t i = 0; i < numRows; ++i) {
              const float *values = tile.data() + i * count;
              float largest = 0;
              for (int64_t j = 0; j < count; ++j)
                largest = std::max(largest, std::fabs(values[j]));
              for (int64_t j = 0; largest > 0 && j < count; ++j)
                sums[j] += std::fabs(values[j]) / largest;
            }
          }
        }
        for (int64_t j = 0; j < count; ++j)
          result[first + j] = static_cast<float>(sums[j] / rows);
      });
  return result;
}

std::vector<float> quantizer::getColumnMaxima(ArrayRef<WeightView> weights,
                                              unsigned threads) {
  int64_t cols = weights.front().cols;
  std::vector<float> result(cols);
  parallelFor(cols, tileCols, threads, [&](int64_t first, int64_t last) {
    int64_t count = last - first;
    std::vector<float> tile(tileRows * count);
    for (const WeightView &weight : weights)
      for (int64_t row = 0; row < weight.rows; row += tileRows) {
        int64_t numRows = std::min(tileRows, weight.rows - row);
        copyTile(weight, row, numRows, first, count, tile.data());
        for (int64_t i = 0; i < numRows * count; ++i) {
          float &largest = result[first + i % count];
          largest = std::max(largest, std::fabs(tile[i]));
        }
      }
  });
  return result;
}

std::vector<float> quantizer::getAWQScales(ArrayRef<float> activations,
                                           ArrayRef<float> weights,
                                           float alpha) {
  // A scale near 0 would leave a column that calibration did not reach without
  // codes, so that a text that does reach it meets noise.
  float least = 0;
  for (float value : activations)
    if (value > 0 && (least == 0 || value < least))
      least = value;
  if (least == 0)
    return std::vector<float>(activations.size(), 1);
  std::vector<float> scales;
  for (auto [i, value] : llvm::enumerate(activations)) {
    float scale = std::pow(std::max(value, least), alpha);
    if (!weights.empty())
      scale /= std::pow(weights[i], 1 - alpha) + 1e-4f;
    scales.push_back(std::max(scale, 1e-4f));
  }
  auto [min, max] = std::minmax_element(scales.begin(), scales.end());
  float middle = std::sqrt(*max * *min);
  for (float &scale : scales) {
    scale /= middle;
    if (!std::isfinite(scale))
      scale = 1;
  }
  return scales;
}

std::vector<float> quantizer::getSmoothQuantScales(ArrayRef<float> activations,
                                                   ArrayRef<float> weights,
                                                   float alpha) {
  constexpr float least = 1e-5f;
  std::vector<float> scales;
  for (auto [activation, weight] : llvm::zip_equal(activations, weights)) {
    float scale = std::pow(activation, alpha) /
                  std::pow(std::max(weight, least), 1 - alpha);
    bool isUsed = activation > 0 && std::isfinite(scale);
    scales.push_back(isUsed ? std::max(scale, least) : 1);
  }
  return scales;
}

/// The best of `points` alphas, i / steps.
static llvm::Expected<ScaleChoice>
searchScales(llvm::function_ref<std::vector<float>(float)> getScales,
             int64_t cols, int points, int steps, ScaleLossFn getLoss) {
  ScaleChoice best;
  std::vector<float> ones(cols, 1);
  llvm::Expected<double> loss = getLoss(ones);
  if (!loss)
    return loss.takeError();
  if (!std::isfinite(*loss))
    return llvm::createStringError(llvm::formatv(
        "the error without scales is {0}: weights or activations are not "
        "finite, or their products overflow",
        *loss));
  best.loss = best.unscaledLoss = *loss;
  for (int i = 0; i < points; ++i) {
    float alpha = static_cast<float>(i) / steps;
    std::vector<float> scales = getScales(alpha);
    loss = getLoss(scales);
    if (!loss)
      return loss.takeError();
    if (*loss < best.loss) {
      best.loss = *loss;
      best.alpha = alpha;
      best.scales = std::move(scales);
    }
  }
  return std::move(best);
}

llvm::Expected<ScaleChoice>
quantizer::searchAWQScales(ArrayRef<float> activations, ArrayRef<float> weights,
                           ScaleLossFn loss, int points) {
  return searchScales(
      [&](float alpha) { return getAWQScales(activations, weights, alpha); },
      activations.size(), points, points, loss);
}

llvm::Expected<ScaleChoice>
quantizer::searchSmoothQuantScales(ArrayRef<float> activations,
                                   ArrayRef<float> weights, ScaleLossFn loss,
                                   int steps) {
  return searchScales(
      [&](float alpha) {
        return getSmoothQuantScales(activations, weights, alpha);
      },
      activations.size(), steps + 1, steps, loss);
}

std::vector<float> quantizer::scaleColumns(const WeightView &weight,
                                           ArrayRef<float> scales,
                                           unsigned threads) {
  std::vector<float> result(weight.rows * weight.cols);
  parallelFor(weight.rows, tileRows, threads, [&](int64_t first, int64_t last) {
    float *tile = result.data() + first * weight.cols;
    copyTile(weight, first, last - first, 0, weight.cols, tile);
    for (int64_t row = first; row < last; ++row)
      for (float scale : scales)
        *tile++ *= scale;
  });
  return result;
}

llvm::Expected<std::vector<float>>
quantizer::quantizeScaled(const Method &method, const MethodInput &input,
                          ArrayRef<float> scales) {
  int64_t rows = input.weight.rows, cols = input.weight.cols;
  std::vector<float> values = scaleColumns(input.weight, scales, input.threads);
  MethodInput scaled = input;
  scaled.weight = WeightView::rowMajor(
      reinterpret_cast<const char *>(values.data()), rows, cols);
  // The scaled weight meets x / s.
  std::vector<float> importance(input.importance), hessian(input.hessian);
  for (auto [i, value] : llvm::enumerate(importance))
    value /= scales[i] * scales[i];
  for (auto [i, value] : llvm::enumerate(hessian))
    value /= scales[i / cols] * scales[i % cols];
  scaled.importance = importance;
  scaled.hessian = hessian;
  llvm::Expected<QuantizedWeight> quantized = quantize(method, scaled);
  if (!quantized)
    return quantized.takeError();
  dequantize(*quantized, values, input.threads);
  for (int64_t i = 0; i < rows * cols; ++i)
    values[i] /= scales[i % cols];
  return std::move(values);
}
