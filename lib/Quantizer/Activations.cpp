//===- Activations.cpp - Activations in 8 bits ----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Activations.h"
#include <cassert>
#include <cmath>

using namespace nibble;

quantizer::ActivationRange
quantizer::quantizeActivations(llvm::ArrayRef<float> row,
                               llvm::MutableArrayRef<uint8_t> codes) {
  assert(row.size() == codes.size() && "one code for each activation");
  float low = 0, high = 0;
  for (float x : row) {
    low = x < low ? x : low;
    high = x > high ? x : high;
  }
  // Each divided by itself: the difference may be beyond the floats.
  float scale = high / activationSteps - low / activationSteps;
  if (scale == 0)
    scale = smallestActivationScale;
  auto round = [scale](float x, float least, float most) {
    x /= scale;
    x = x > least ? x : least;
    return std::nearbyint(x < most ? x : most);
  };
  float zero = round(-low, 0, activationSteps);
  for (size_t i = 0; i < row.size(); ++i)
    codes[i] = static_cast<uint8_t>(
        zero + round(row[i], -zero, activationSteps - zero));
  return {scale, static_cast<uint8_t>(zero)};
}
