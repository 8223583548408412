//===- GGUFFit.cpp - Scales by least squares ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GGUFFit.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <cmath>

using namespace nibble::quantizer;
using llvm::ArrayRef;
using llvm::MutableArrayRef;

namespace {
/// For codes l of values x: the best scale is xl / ll, and xl^2 / ll is what it
/// takes from the error.
struct Projection {
  float xl = 0, ll = 0;

  void add(float weight, float value, float code) {
    xl += weight * value * code;
    ll += weight * code * code;
  }
  void remove(float weight, float value, float code) {
    xl -= weight * value * code;
    ll -= weight * code * code;
  }
  bool isBetterThan(const Projection &other) const {
    return xl * xl * other.ll > other.xl * other.xl * ll;
  }
  float getScale() const { return ll > 0 ? xl / ll : 0; }
};
} // namespace

/// Changes codes in turn to the nearest at the scale of all others, while that
/// helps. `Code` is the type they are stored in, whose wrapping is ggml's.
template <typename Code>
static void exchangeCodes(ArrayRef<float> values, ArrayRef<float> weights,
                          int low, int high, bool othersMustBeNonzero,
                          MutableArrayRef<Code> codes, Projection &sums) {
  for (int pass = 0; pass < 5; ++pass) {
    bool changed = false;
    for (size_t i = 0; i < values.size(); ++i) {
      Projection trial = sums;
      trial.remove(weights[i], values[i], codes[i]);
      if (!(trial.xl > 0) || (othersMustBeNonzero && !(trial.ll > 0)))
        continue;
      int code = gguf::roundToInt(values[i] * trial.ll / trial.xl);
      code = std::clamp(code, low, high);
      if (code == codes[i])
        continue;
      trial.add(weights[i], values[i], code);
      if (trial.ll > 0 && trial.isBetterThan(sums)) {
        codes[i] = code;
        sums = trial;
        changed = true;
      }
    }
    if (!changed)
      return;
  }
}

float gguf::findSignedMaximum(ArrayRef<float> values) {
  float largest = 0;
  for (float value : values)
    if (std::fabs(value) > std::fabs(largest))
      largest = value;
  return largest;
}

float gguf::fitSymmetric(ArrayRef<float> values, ArrayRef<float> weights,
                         int half, MutableArrayRef<uint8_t> codes) {
  float largest = findSignedMaximum(values);
  if (std::fabs(largest) < smallestMagnitude) {
    llvm::fill(codes, 0);
    return 0;
  }
  auto getCode = [&](float inverse, float value) {
    return std::clamp(roundToInt(inverse * value), -half, half - 1);
  };
  auto project = [&](float inverse) {
    Projection sums;
    for (auto [value, weight] : llvm::zip_equal(values, weights))
      sums.add(weight, value, getCode(inverse, value));
    return sums;
  };

  float bestInverse = -half / largest;
  Projection first = project(bestInverse);
  float scale = first.ll != 0 ? first.xl / first.ll : 0;
  float best = scale * first.xl;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0)
      continue;
    float inverse = -(half + 0.1f * step) / largest;
    Projection sums = project(inverse);
    if (sums.ll > 0 && sums.xl * sums.xl > best * sums.ll) {
      bestInverse = inverse;
      scale = sums.xl / sums.ll;
      best = scale * sums.xl;
    }
  }
  for (auto [value, code] : llvm::zip_equal(values, codes))
    code = half + getCode(bestInverse, value);
  return scale;
}

float gguf::fitByExchange(ArrayRef<float> values, int half,
                          MutableArrayRef<uint8_t> codes) {
  float largest = findSignedMaximum(values);
  if (std::fabs(largest) < smallestMagnitude) {
    llvm::fill(codes, 0);
    return 0;
  }
  float inverse = -half / largest;
  llvm::SmallVector<float, 32> weights;
  llvm::SmallVector<int8_t, 32> signedCodes;
  Projection sums;
  for (float value : values) {
    int code = std::clamp(roundToInt(inverse * value), -half, half - 1);
    weights.push_back(value * value);
    signedCodes.push_back(code);
    sums.add(weights.back(), value, code);
  }
  exchangeCodes<int8_t>(values, weights, -half, half - 1,
                        /*othersMustBeNonzero=*/false, signedCodes, sums);
  for (auto [code, signedCode] : llvm::zip_equal(codes, signedCodes))
    code = signedCode + half;
  return sums.getScale();
}

float gguf::fitPositive(ArrayRef<float> values, ArrayRef<float> weights,
                        int maxCode, MutableArrayRef<uint8_t> codes) {
  float largest = 0;
  for (float value : values)
    largest = std::max(largest, value);
  if (largest < smallestMagnitude) {
    llvm::fill(codes, 0);
    return 0;
  }
  auto getError = [&](float inverse, auto getCode) {
    float scale = 1 / inverse, error = 0;
    for (auto [value, weight] : llvm::zip_equal(values, weights)) {
      float difference = value - scale * getCode(inverse * value);
      error += weight * difference * difference;
    }
    return error;
  };
  auto clampAbove = [&](float quotient) {
    return std::min(maxCode, roundToInt(quotient));
  };

  float bestInverse = maxCode / largest;
  // The first trial sees codes as they are stored, the others do not.
  float leastError = getError(bestInverse, [](float quotient) {
    return static_cast<uint8_t>(roundToInt(quotient));
  });
  for (int step = -4; step <= 4; ++step) {
    if (step == 0)
      continue;
    float inverse = (0.1f * step + maxCode) / largest;
    float error = getError(inverse, clampAbove);
    if (error < leastError) {
      leastError = error;
      bestInverse = inverse;
    }
  }

  Projection sums;
  for (size_t i = 0; i < values.size(); ++i) {
    int code = clampAbove(bestInverse * values[i]);
    codes[i] = code;
    sums.add(weights[i], values[i], code);
  }
  exchangeCodes<uint8_t>(values, weights, std::numeric_limits<int>::min(),
                         maxCode, /*othersMustBeNonzero=*/true, codes, sums);
  return sums.getScale();
}

gguf::AffineFit gguf::fitAffine(ArrayRef<float> values, ArrayRef<float> weights,
                                int maxCode, const AffineTrials &trials,
                                MutableArrayRef<uint8_t> codes) {
  float min = values[0], max = values[0];
  float sumW = weights[0], sumX = sumW * values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    min = std::min(min, values[i]);
    max = std::max(max, values[i]);
    sumW += weights[i];
    sumX += weights[i] * values[i];
  }
  min = std::min(min, 0.0f);
  if (max == min) {
    llvm::fill(codes, 0);
    return {0, min};
  }
  // Trials start from the minimum of the best fit so far.
  AffineFit best = {0, min};
  auto getCode = [&](float inverse, float value) {
    return std::clamp(roundToInt(inverse * (value - best.minimum)), 0, maxCode);
  };
  auto getError = [&](const AffineFit &fit, ArrayRef<uint8_t> trialCodes) {
    float error = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      float difference = fit.scale * trialCodes[i] + fit.minimum - values[i];
      difference =
          trials.absolute ? std::fabs(difference) : difference * difference;
      error += weights[i] * difference;
    }
    return error;
  };

  float inverse = maxCode / (max - min);
  best.scale = 1 / inverse;
  for (auto [value, code] : llvm::zip_equal(values, codes))
    code = getCode(inverse, value);
  float leastError = getError(best, codes);

  llvm::SmallVector<uint8_t, 32> trialCodes(values.size());
  for (int step = 0; step <= trials.last; ++step) {
    inverse =
        (trials.first + trials.step * step + maxCode) / (max - best.minimum);
    float sumL = 0, sumL2 = 0, sumXL = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      int code = getCode(inverse, values[i]);
      trialCodes[i] = code;
      sumL += weights[i] * code;
      sumL2 += weights[i] * code * code;
      sumXL += weights[i] * code * values[i];
    }
    float determinant = sumW * sumL2 - sumL * sumL;
    if (!(determinant > 0))
      continue;
    AffineFit fit;
    fit.scale = (sumW * sumXL - sumX * sumL) / determinant;
    fit.minimum = (sumL2 * sumX - sumL * sumXL) / determinant;
    if (fit.minimum > 0)
      fit = {sumXL / sumL2, 0};
    float error = getError(fit, trialCodes);
    if (error < leastError) {
      leastError = error;
      best = fit;
      llvm::copy(trialCodes, codes.begin());
    }
  }
  return best;
}
