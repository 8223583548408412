//===- ScaleTypeTest.cpp - Half precision and bfloat16 --------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Scheme.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include "gtest/gtest.h"
#include <random>

using namespace nibble::quantizer;

namespace {

uint16_t convert(float value, const llvm::fltSemantics &semantics) {
  llvm::APFloat number(value);
  bool losesInfo;
  number.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return number.bitcastToAPInt().getZExtValue();
}

TEST(ScaleTypeTest, EveryHalfAndItsNeighbours) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = halfToFloat(bits);
    llvm::APFloat expected(llvm::APFloat::IEEEhalf(), llvm::APInt(16, bits));
    if (expected.isNaN()) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_EQ(floatToHalf(value) & 0x7e00, 0x7e00);
      continue;
    }
    ASSERT_EQ(value, expected.convertToFloat()) << bits;
    ASSERT_EQ(floatToHalf(value), bits);
    if (std::isinf(value))
      continue;
    // Halfway to the next one, and a little on either side.
    float next =
        llvm::bit_cast<float>(llvm::bit_cast<uint32_t>(value) + 0x1000);
    for (float near : {next, std::nextafter(next, 0.0f),
                       std::nextafter(next, 1e30f), value * 1.0001f})
      ASSERT_EQ(floatToHalf(near), convert(near, llvm::APFloat::IEEEhalf()))
          << near;
  }
}

TEST(ScaleTypeTest, RandomFloats) {
  unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 200000; ++i) {
    float value = llvm::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::isnan(value))
      continue;
    ASSERT_EQ(floatToHalf(value), convert(value, llvm::APFloat::IEEEhalf()))
        << value;
    ASSERT_EQ(floatToBFloat16(value), convert(value, llvm::APFloat::BFloat()))
        << value;
    ASSERT_EQ(bfloat16ToFloat(floatToBFloat16(value)),
              roundToScaleType(value, ScaleType::BF16));
  }
  EXPECT_TRUE(std::isnan(bfloat16ToFloat(floatToBFloat16(std::nanf("")))));
  EXPECT_EQ(roundToScaleType(65519, ScaleType::F16), 65504);
  EXPECT_TRUE(std::isinf(roundToScaleType(65520, ScaleType::F16)));
}

} // namespace
