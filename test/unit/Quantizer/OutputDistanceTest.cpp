//===- OutputDistanceTest.cpp - How far outputs are apart -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/OutputDistance.h"
#include "RandomWeights.h"
#include <cmath>
#include <limits>

using namespace nibble::quantizer;
using namespace nibble::quantizer::test;

namespace {

class OutputDistanceTest : public RandomTest {};

/// By the definition, in double.
double defineDivergence(llvm::ArrayRef<float> reference,
                        llvm::ArrayRef<float> other, int64_t columns) {
  double sum = 0;
  for (size_t row = 0; row < reference.size(); row += columns) {
    double p = 0, q = 0;
    for (int64_t i = 0; i < columns; ++i) {
      p += std::exp(double(reference[row + i]));
      q += std::exp(double(other[row + i]));
    }
    for (int64_t i = 0; i < columns; ++i) {
      double logP = reference[row + i] - std::log(p),
             logQ = other[row + i] - std::log(q);
      sum += std::exp(logP) * (logP - logQ);
    }
  }
  return sum;
}

TEST_F(OutputDistanceTest, DivergenceIsThatOfTheDefinition) {
  for (int64_t columns : {2, 7, 1000}) {
    std::vector<float> reference = makeNormal(20 * columns),
                       other = makeNormal(20 * columns);
    for (size_t i = 0; i < other.size(); ++i)
      other[i] = reference[i] + 0.1f * other[i];
    double expected = defineDivergence(reference, other, columns);
    double found = computeDivergence(reference, other, columns, 1);
    EXPECT_NEAR(found, expected, 1e-5 * expected);
    EXPECT_EQ(computeDivergence(reference, other, columns, 3), found);
  }
}

TEST_F(OutputDistanceTest, DivergenceDoesNotSeeWhatSoftmaxDoesNotSee) {
  std::vector<float> reference = makeNormal(100), other = reference;
  EXPECT_EQ(computeDivergence(reference, other, 50), 0);
  for (float &value : other)
    value += 16;
  EXPECT_NEAR(computeDivergence(reference, other, 50), 0, 1e-5);
  // Large logits must not overflow.
  for (float &value : reference)
    value = 1000 * value;
  EXPECT_TRUE(std::isfinite(computeDivergence(reference, other, 50)));
  other[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isinf(computeDivergence(reference, other, 50)));
}

TEST_F(OutputDistanceTest, DifferenceIsNoiseOverSignal) {
  std::vector<float> reference(50000, 2), other(50000, 2.5);
  OutputError error = computeDifference(reference, other, 2);
  EXPECT_EQ(error.signal, 200000);
  EXPECT_EQ(error.noise, 12500);
  EXPECT_EQ(error.getRelative(), 0.0625);
  other[40000] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isinf(computeDifference(reference, other).noise));
}

} // namespace
