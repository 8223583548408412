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

float quantizer::quantizeActivations(llvm::ArrayRef<float> row,
                                     llvm::MutableArrayRef<int8_t> codes) {
  assert(row.size() == codes.size() && "one code for each activation");
  float most = 0;
  for (float x : row)
    if (std::abs(x) > most)
      most = std::abs(x);
  float scale = most / activationSteps;
  if (scale == 0)
    scale = smallestActivationScale;
  for (size_t i = 0; i < row.size(); ++i) {
    float x = row[i] / scale;
    x = x > -128.0f ? x : -128.0f;
    x = x < 127.0f ? x : 127.0f;
    codes[i] = static_cast<int8_t>(std::nearbyint(x));
  }
  return scale;
}
