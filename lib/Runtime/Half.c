//===- Half.c - Conversions that old CPUs lack ----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM calls these where a CPU has no instruction for them (half precision
// before F16C, bfloat16 before AVX512-BF16). Compilers' own run-time libraries
// have them too, but a machine that makes models need not have a C compiler.
// Rounding is to the nearest, ties to even, as IEEE 754 says.
//
//===----------------------------------------------------------------------===//

#include <stdint.h>
#include <string.h>

// GCC 12 has no type for bfloat16; it travels in the same register as _Float16.
typedef _Float16 Half;

float __extendhfsf2(Half value);
Half __truncsfhf2(float value);
Half __truncdfhf2(double value);
Half __truncsfbf2(float value);
Half __truncdfbf2(double value);

static Half fromBits(uint16_t bits) {
  Half value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

float __extendhfsf2(Half value) {
  uint16_t bits;
  memcpy(&bits, &value, sizeof(bits));
  uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
  uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023, wide;
  if (exponent == 31) {
    // A signalling NaN becomes quiet.
    wide = 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0);
  } else if (exponent) {
    wide = (exponent + 112) << 23 | fraction << 13;
  } else if (fraction) {
    // Subnormal: shift until the leading one is where it is implied.
    uint32_t shift = (uint32_t)__builtin_clz(fraction) - 21;
    wide = (113 - shift) << 23 | (fraction << (13 + shift) & 0x7fffffu);
  } else {
    wide = 0;
  }
  wide |= sign;
  float result;
  memcpy(&result, &wide, sizeof(result));
  return result;
}

/// The 16-bit float with `fractionBits` nearest to a double. Every float is a
/// double, so one function rounds once for both.
static uint16_t narrow(double value, unsigned fractionBits) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  const unsigned exponentBits = 15 - fractionBits;
  const int bias = (1 << (exponentBits - 1)) - 1;
  const uint16_t sign = (uint16_t)(bits >> 48 & 0x8000);
  const uint16_t infinity =
      (uint16_t)(((1u << exponentBits) - 1) << fractionBits);
  uint64_t fraction = bits & 0xfffffffffffffu;
  int exponent = (int)(bits >> 52 & 0x7ff);
  if (exponent == 0x7ff) {
    if (!fraction)
      return sign | infinity;
    // A quiet NaN with the upper bits of the payload.
    return (uint16_t)(sign | infinity | 1u << (fractionBits - 1) |
                      fraction >> (52 - fractionBits));
  }
  if (exponent == 0)
    return sign; // Below anything that 16 bits hold.
  int target = exponent - 1023 + bias;
  unsigned drop = 52 - fractionBits;
  fraction |= UINT64_C(1) << 52;
  if (target <= 0) {
    // Subnormal: more bits go, and the leading one is explicit.
    if (1 - target > (int)fractionBits + 2)
      return sign;
    drop += (unsigned)(1 - target);
    target = 1;
  }
  uint64_t rest = fraction & ((UINT64_C(1) << drop) - 1);
  uint64_t kept = fraction >> drop, half = UINT64_C(1) << (drop - 1);
  kept += rest > half || (rest == half && (kept & 1));
  // A carry out of the fraction raises the exponent, which is what it should.
  uint64_t result = ((uint64_t)(target - 1) << fractionBits) + kept;
  return result >= infinity ? sign | infinity : (uint16_t)(sign | result);
}

Half __truncdfhf2(double value) { return fromBits(narrow(value, 10)); }
Half __truncsfhf2(float value) { return fromBits(narrow((double)value, 10)); }
Half __truncdfbf2(double value) { return fromBits(narrow(value, 7)); }
Half __truncsfbf2(float value) { return fromBits(narrow((double)value, 7)); }
