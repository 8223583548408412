//===- Codebook.cpp - Values of codes that are not integers ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Codebook.h"
#include <algorithm>
#include <array>

using namespace nibble::quantizer;

static constexpr float nf4Values[16] = {-1.0f,
                                        -0.6961928009986877f,
                                        -0.5250730514526367f,
                                        -0.39491748809814453f,
                                        -0.28444138169288635f,
                                        -0.18477343022823334f,
                                        -0.09105003625154495f,
                                        0.0f,
                                        0.07958029955625534f,
                                        0.16093020141124725f,
                                        0.24611230194568634f,
                                        0.33791524171829224f,
                                        0.44070982933044434f,
                                        0.5626170039176941f,
                                        0.7229568362236023f,
                                        1.0f};

static constexpr float fp4Values[16] = {
    0.0f,  1.0f / 192,  2.0f / 3,  1.0f,  1.0f / 3,  0.5f,  1.0f / 6,  0.25f,
    -0.0f, -1.0f / 192, -2.0f / 3, -1.0f, -1.0f / 3, -0.5f, -1.0f / 6, -0.25f};

llvm::ArrayRef<float> nibble::quantizer::getCodebookValues(Codebook codebook) {
  switch (codebook) {
  case Codebook::Int:
    return {};
  case Codebook::NF4:
    return nf4Values;
  case Codebook::FP4:
    return fp4Values;
  }
  llvm_unreachable("unknown codebook");
}

/// Decade i, from 1e-6 to 1, has 2^i values: the middles of as many equal steps
/// from 0.1 to 1 times the decade. Every operation is rounded to float but the
/// products that places of steps begin with: so the library computes them.
static std::array<float, 256> makeDynamicMap() {
  constexpr int decades = 7;
  constexpr float powers[decades] = {1e-6f, 1e-5f, 1e-4f, 1e-3f,
                                     1e-2f, 1e-1f, 1.0f};
  std::array<float, 256> map;
  auto next = map.begin();
  *next++ = 0;
  *next++ = 1;
  for (int decade = 0; decade < decades; ++decade) {
    int count = 1 << decade;
    float step = (1.0f - 0.1f) / static_cast<float>(count);
    auto getEdge = [&](int i) -> float {
      // From the nearer end, as places of linspace are computed.
      return i < (count + 1) / 2
                 ? static_cast<float>(double(0.1f) + double(step) * i)
                 : static_cast<float>(1.0 - double(step) * (count - i));
    };
    for (int i = 0; i < count; ++i) {
      float middle = (getEdge(i) + getEdge(i + 1)) / 2;
      *next++ = powers[decade] * middle;
      *next++ = -(powers[decade] * middle);
    }
  }
  std::sort(map.begin(), map.end());
  return map;
}

llvm::ArrayRef<float> nibble::quantizer::getDynamicMap() {
  static const std::array<float, 256> map = makeDynamicMap();
  return map;
}
