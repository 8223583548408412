//===- VectorMath.h - Loops compiled for several CPUs -----------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The library is built for any x86-64. Its hot loops are templates over a
// description of a CPU, inlined into one function per CPU.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_QUANTIZER_VECTORMATH_H
#define NIBBLE_LIB_QUANTIZER_VECTORMATH_H

#include <cstdint>

#define NIBBLE_INLINE [[gnu::always_inline]] static inline

namespace nibble::quantizer {

template <typename T, int count>
struct VectorOf {
  typedef T type __attribute__((ext_vector_type(count)));
};
/// A vector of `count` elements, of any length: the compiler splits it.
template <typename T, int count>
using Vector = typename VectorOf<T, count>::type;

/// CPUs: bytes of a register, rows of a tile of sums that registers hold, and
/// whether products are fused with sums.
struct BaseCPU {
  static constexpr int vectorBytes = 16, tileRows = 4;
  static constexpr bool hasFMA = false;
};
struct AVX2CPU {
  static constexpr int vectorBytes = 32, tileRows = 6;
  static constexpr bool hasFMA = true;
};
struct AVX512CPU {
  static constexpr int vectorBytes = 64, tileRows = 12;
  static constexpr bool hasFMA = true;
};

#define NIBBLE_TARGET_AVX2 [[gnu::target("avx2,fma")]]
#define NIBBLE_TARGET_AVX512                                                   \
  [[gnu::target("avx512f,avx512dq,avx512bw,avx512vl,fma")]]

enum class CPUKind { Base, AVX2, AVX512 };

inline CPUKind getCPU() {
#if defined(__x86_64__)
  static const CPUKind kind = [] {
    if (__builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
      return CPUKind::AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      return CPUKind::AVX2;
    return CPUKind::Base;
  }();
  return kind;
#else
  return CPUKind::Base;
#endif
}

/// Rows of the left factor that are packed together, whatever the CPU.
inline constexpr int packedRows = 12;

/// c +- a b for as many rows as registers hold, from `firstRow` on, and the
/// columns of two registers. a is packed [depth][packedRows], b has rows of
/// `bStride`; `sign` is 1 or -1.
template <typename CPU, int sign, typename T>
NIBBLE_INLINE void multiplyTile(int64_t depth, const T *a, const T *b,
                                int64_t bStride, T *c, int64_t cStride,
                                int firstRow) {
  constexpr int lanes = CPU::vectorBytes / sizeof(T);
  constexpr int rows = CPU::tileRows;
  using V = Vector<T, lanes>;
  V sums[rows][2] = {};
  a += firstRow;
  for (int64_t k = 0; k < depth; ++k) {
    V right[2];
    __builtin_memcpy(right, b + k * bStride, sizeof(right));
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; ++r) {
      V left = V(a[k * packedRows + r]);
#pragma clang loop unroll(full)
      for (int v = 0; v < 2; ++v) {
        if constexpr (CPU::hasFMA)
          sums[r][v] = __builtin_elementwise_fma(left, right[v], sums[r][v]);
        else
          sums[r][v] += left * right[v];
      }
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; ++r) {
    T *out = c + (firstRow + r) * cStride;
#pragma clang loop unroll(full)
    for (int v = 0; v < 2; ++v) {
      V old;
      __builtin_memcpy(&old, out + v * lanes, sizeof(V));
      old = sign > 0 ? old + sums[r][v] : old - sums[r][v];
      __builtin_memcpy(out + v * lanes, &old, sizeof(V));
    }
  }
}

/// The same for `packedRows` rows and `columns` columns, a multiple of two
/// registers.
template <typename CPU, int sign, typename T>
NIBBLE_INLINE void multiplyPanel(int64_t depth, const T *a, const T *b,
                                 int64_t bStride, T *c, int64_t cStride,
                                 int64_t columns) {
  constexpr int64_t width = 2 * CPU::vectorBytes / sizeof(T);
  for (int64_t column = 0; column < columns; column += width)
    for (int row = 0; row < packedRows; row += CPU::tileRows)
      multiplyTile<CPU, sign>(depth, a, b + column, bStride, c + column,
                              cStride, row);
}

} // namespace nibble::quantizer

#endif // NIBBLE_LIB_QUANTIZER_VECTORMATH_H
