//===- RandomWeights.h - Fresh weights for each run -------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_UNIT_QUANTIZER_RANDOMWEIGHTS_H
#define NIBBLE_TEST_UNIT_QUANTIZER_RANDOMWEIGHTS_H

#include "nibble/Quantizer/Scheme.h"
#include "gtest/gtest.h"
#include <random>

namespace nibble::quantizer::test {

/// A generator seeded anew for each test; a failing test prints the seed.
class RandomTest : public ::testing::Test {
protected:
  unsigned seed = std::random_device()();
  std::mt19937 random{seed};
  ::testing::ScopedTrace trace{__FILE__, __LINE__,
                               "seed " + std::to_string(seed)};

  std::vector<float> makeNormal(int64_t count, float deviation = 1) {
    std::normal_distribution<float> normal(0, deviation);
    std::vector<float> values(count);
    for (float &value : values)
      value = normal(random);
    return values;
  }
  std::vector<uint8_t> makeCodes(int64_t count, unsigned bits) {
    std::vector<uint8_t> codes(count);
    for (uint8_t &code : codes)
      code = random() & ((1u << bits) - 1);
    return codes;
  }
};

inline const char *getBytes(const std::vector<float> &values) {
  return reinterpret_cast<const char *>(values.data());
}

} // namespace nibble::quantizer::test

#endif // NIBBLE_TEST_UNIT_QUANTIZER_RANDOMWEIGHTS_H
