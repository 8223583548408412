//===- OutputComparison.cpp - One model's values beside another's ---------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/OutputComparison.h"
#include <algorithm>
#include <cmath>

using namespace nibble;
using namespace nibble::calibration;

void OutputComparison::addReference(size_t tensor,
                                    llvm::ArrayRef<float> values) {
  std::vector<float> &reference = tensors[tensor].reference;
  reference.insert(reference.end(), values.begin(), values.end());
}

void OutputComparison::add(size_t tensor, llvm::ArrayRef<float> values) {
  Tensor &sums = tensors[tensor];
  size_t known = std::min(sums.count, sums.reference.size());
  size_t count = std::min(values.size(), sums.reference.size() - known);
  const float *reference = sums.reference.data() + known;
  for (size_t i = 0; i < count; ++i) {
    double x = reference[i], y = values[i];
    sums.signal += x * x;
    sums.noise += (x - y) * (x - y);
    sums.power += y * y;
    sums.product += x * y;
  }
  sums.count += values.size();
}

static double computeSQNR(double signal, double noise) {
  if (!std::isfinite(signal) || !std::isfinite(noise))
    return -maxMeasuredSQNR;
  if (noise == 0)
    return maxMeasuredSQNR;
  if (signal == 0)
    return -maxMeasuredSQNR;
  return std::clamp(10 * std::log10(signal / noise), -maxMeasuredSQNR,
                    maxMeasuredSQNR);
}

static double computeCosine(double signal, double power, double product) {
  if (!std::isfinite(signal) || !std::isfinite(power) ||
      !std::isfinite(product))
    return 0;
  if (signal == 0 && power == 0)
    return 1;
  if (signal == 0 || power == 0)
    return 0;
  return product / std::sqrt(signal) / std::sqrt(power);
}

llvm::Error OutputComparison::endSample() {
  for (auto [index, tensor] : llvm::enumerate(tensors)) {
    if (tensor.count != tensor.reference.size())
      return llvm::createStringError(
          "tensor " + llvm::Twine(index) + ": the float model has " +
          llvm::Twine(tensor.reference.size()) + " values, the quantized one " +
          llvm::Twine(tensor.count));
    if (tensor.count) {
      tensor.sqnr.push_back(computeSQNR(tensor.signal, tensor.noise));
      tensor.cosine.push_back(
          computeCosine(tensor.signal, tensor.power, tensor.product));
    }
    tensor.reference.clear();
    tensor.count = 0;
    tensor.signal = tensor.noise = tensor.power = tensor.product = 0;
  }
  return llvm::Error::success();
}

std::optional<MeasuredOutput>
OutputComparison::getMeasured(size_t tensor) const {
  const Tensor &found = tensors[tensor];
  if (found.sqnr.empty())
    return std::nullopt;
  return MeasuredOutput{static_cast<int64_t>(found.sqnr.size()),
                        Spread::of(found.sqnr), Spread::of(found.cosine)};
}
