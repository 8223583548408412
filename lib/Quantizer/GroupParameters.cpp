//===- GroupParameters.cpp - Scale and zero of a group --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GroupParameters.h"
#include <algorithm>

using namespace nibble::quantizer;

/// The scale before it is rounded to its type.
static double getExactScale(const QuantizationScheme &scheme, double min,
                            double max) {
  if (!scheme.symmetric)
    return (max - min) / scheme.getMaxCode();
  int zero = scheme.getSymmetricZero();
  // A search begins at the widest scale that is of use.
  ScaleRule rule = scheme.scaleRule == ScaleRule::MSE
                       ? getDefaultScaleRule(scheme)
                       : scheme.scaleRule;
  switch (rule) {
  case ScaleRule::SignedMax:
    return (max > -min ? max : min) / -zero;
  case ScaleRule::FullRange:
    return std::max(max, -min) / (zero - 0.5);
  case ScaleRule::AbsMax:
  case ScaleRule::MSE:
  case ScaleRule::GGML:
    return std::max(max, -min) / (zero - 1);
  }
  llvm_unreachable("unknown scale rule");
}

GroupParameters
nibble::quantizer::getParameters(const QuantizationScheme &scheme, double min,
                                 double max) {
  GroupParameters parameters;
  parameters.zero = scheme.symmetric ? scheme.getSymmetricZero() : 0;
  double scale = getExactScale(scheme, min, max);
  if (scale == 0) {
    // All weights are zero, and any scale is right. It must not draw the offset
    // of a second level to itself.
    parameters.scale = scheme.second ? 0 : 1;
    return parameters;
  }
  ScaleType type = scheme.second ? ScaleType::F32 : scheme.scaleType;
  float rounded = roundToScaleType(static_cast<float>(scale), type);
  if (rounded == 0) {
    // Too small for the type: codes from its smallest number are still right.
    float tiny = scheme.scaleType == ScaleType::F16    ? 0x1p-24f
                 : scheme.scaleType == ScaleType::BF16 ? 0x1p-133f
                                                       : 0x1p-149f;
    rounded = scale < 0 ? -tiny : tiny;
  }
  parameters.scale = rounded;
  if (!scheme.symmetric) {
    float maxCode = scheme.getMaxCode();
    float zero = roundCode(-static_cast<float>(min), rounded, 0, maxCode) -
                 roundingConstant;
    parameters.zero = static_cast<int>(zero);
  }
  return parameters;
}
