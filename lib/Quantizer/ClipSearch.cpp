//===- ClipSearch.cpp - Ranges of weights by output error -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/ClipSearch.h"
#include "nibble/Support/Parallel.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cmath>

using namespace nibble;
using namespace nibble::quantizer;
using llvm::ArrayRef;
using llvm::MutableArrayRef;

namespace {
/// A group of columns in all rows.
struct GroupColumns {
  int64_t group, first, count;
};
} // namespace

template <typename Body>
static void forEachGroup(const QuantizationScheme &scheme, int64_t cols,
                         unsigned threads, Body body) {
  int64_t length = scheme.getGroupLength(cols);
  parallelFor(
      scheme.getNumGroups(cols), 1, threads, [&](int64_t group, int64_t) {
        int64_t first = group * length;
        body(GroupColumns{group, first, std::min(length, cols - first)});
      });
}

/// X^T X of the columns of a group, [count, count]. The squared error of a
/// group's part of the output is e^T X^T X e for errors e of the weights.
static std::vector<double> getGram(ArrayRef<float> activations, int64_t cols,
                                   const GroupColumns &part, int64_t step) {
  std::vector<double> gram(part.count * part.count);
  int64_t rows = activations.size() / cols;
  for (int64_t row = 0; row < rows; row += step) {
    const float *x = activations.data() + row * cols + part.first;
    for (int64_t i = 0; i < part.count; ++i)
      for (int64_t j = 0; j < part.count; ++j)
        gram[i * part.count + j] += static_cast<double>(x[i]) * x[j];
  }
  return gram;
}

static double getError(ArrayRef<double> gram, ArrayRef<double> errors) {
  double sum = 0;
  int64_t count = errors.size();
  for (int64_t i = 0; i < count; ++i) {
    double product = 0;
    for (int64_t j = 0; j < count; ++j)
      product += gram[i * count + j] * errors[j];
    sum += errors[i] * product;
  }
  return sum;
}

llvm::Expected<std::vector<float>>
quantizer::searchClipping(const Method &method, const MethodInput &input,
                          ArrayRef<float> activations,
                          const ClipOptions &options) {
  const QuantizationScheme &scheme = input.scheme;
  int64_t rows = input.weight.rows, cols = input.weight.cols;
  int64_t numGroups = scheme.getNumGroups(cols);
  if (activations.empty() || activations.size() % cols != 0)
    return llvm::createStringError(llvm::formatv(
        "{0} activations for a weight of {1} columns: expected whole rows of "
        "{1}, at least one",
        activations.size(), cols));
  int64_t numSamples = activations.size() / cols;
  int64_t step = std::max<int64_t>(1, numSamples / options.maxSamples);

  std::vector<float> weights(rows * cols);
  copyTile(input.weight, 0, rows, 0, cols, weights.data());
  std::vector<std::vector<double>> grams(numGroups);
  std::vector<float> largest(rows * numGroups);
  forEachGroup(scheme, cols, input.threads, [&](const GroupColumns &part) {
    grams[part.group] = getGram(activations, cols, part, step);
    for (int64_t row = 0; row < rows; ++row) {
      float &value = largest[row * numGroups + part.group];
      for (int64_t i = 0; i < part.count; ++i)
        value =
            std::max(value, std::fabs(weights[row * cols + part.first + i]));
    }
  });

  std::vector<float> best = largest, trial(largest.size());
  std::vector<float> clamped(weights.size()), back(weights.size());
  std::vector<double> leastErrors(largest.size(),
                                  std::numeric_limits<double>::infinity());
  int trials = static_cast<int>(options.maxShrink * options.steps);
  for (int i = 0; i < std::max(trials, 1); ++i) {
    float keep = 1 - static_cast<float>(i) / options.steps;
    for (size_t j = 0; j < trial.size(); ++j)
      trial[j] = largest[j] * keep;
    clamped = weights;
    clampGroups(clamped, cols, scheme, trial);
    MethodInput clampedInput = input;
    clampedInput.weight = WeightView::rowMajor(
        reinterpret_cast<const char *>(clamped.data()), rows, cols);
    llvm::Expected<QuantizedWeight> quantized = quantize(method, clampedInput);
    if (!quantized)
      return quantized.takeError();
    dequantize(*quantized, back, input.threads);
    forEachGroup(scheme, cols, input.threads, [&](const GroupColumns &part) {
      std::vector<double> errors(part.count);
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t j = 0; j < part.count; ++j) {
          int64_t at = row * cols + part.first + j;
          errors[j] = static_cast<double>(back[at]) - weights[at];
        }
        double error = getError(grams[part.group], errors);
        int64_t at = row * numGroups + part.group;
        if (error < leastErrors[at]) {
          leastErrors[at] = error;
          best[at] = trial[at];
        }
      }
    });
  }
  return std::move(best);
}

void quantizer::clampGroups(MutableArrayRef<float> weights, int64_t cols,
                            const QuantizationScheme &scheme,
                            ArrayRef<float> limits) {
  int64_t length = scheme.getGroupLength(cols);
  int64_t numGroups = scheme.getNumGroups(cols);
  for (size_t i = 0; i < weights.size(); ++i) {
    float limit = limits[i / cols * numGroups + i % cols / length];
    weights[i] = std::clamp(weights[i], -limit, limit);
  }
}
