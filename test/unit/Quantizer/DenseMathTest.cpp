//===- DenseMathTest.cpp - Products and factors of matrices ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/DenseMath.h"
#include "RandomWeights.h"

using namespace nibble::quantizer;

namespace {

class DenseMathTest : public test::RandomTest {
protected:
  std::vector<double> makeDoubles(int64_t count) {
    std::vector<float> floats = makeNormal(count);
    return {floats.begin(), floats.end()};
  }
  /// a^T a + 0.1 for a of more rows than columns.
  std::vector<double> makeDefinite(int64_t size) {
    int64_t rows = size + 3;
    std::vector<double> a = makeDoubles(rows * size), h(size * size);
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < size; ++j) {
        for (int64_t k = 0; k < rows; ++k)
          h[i * size + j] += a[k * size + i] * a[k * size + j];
        h[i * size + j] += i == j ? 0.1 : 0;
      }
    return h;
  }
};

TEST_F(DenseMathTest, Products) {
  // Sizes at, below and above those of the tiles.
  for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                         {12, 32, 192},
                         {193, 205, 200},
                         {7, 385, 3}}) {
    std::vector<float> a = makeNormal(m * k), b = makeNormal(k * n),
                       c = makeNormal(m * n), old = c;
    addProduct({a.data(), m, k, k}, {b.data(), k, n, n}, {c.data(), m, n, n});
    std::vector<float> transposed(m * k);
    for (int64_t i = 0; i < m * k; ++i)
      transposed[i % k * m + i / k] = a[i];
    std::vector<float> again = old;
    addProduct({transposed.data(), m, k, 1, m}, {b.data(), k, n, n},
               {again.data(), m, n, n}, /*upperOnly=*/false, /*threads=*/3);
    EXPECT_EQ(c, again);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = old[i * n + j];
        for (int64_t l = 0; l < k; ++l)
          sum += double(a[i * k + l]) * b[l * n + j];
        ASSERT_NEAR(c[i * n + j], sum, 1e-4) << i << ", " << j;
      }
  }
}

TEST_F(DenseMathTest, OuterProducts) {
  int64_t rows = 500, size = 210;
  std::vector<float> x = makeNormal(rows * size), h(size * size), one;
  for (unsigned threads : {1, 2, 5}) {
    std::fill(h.begin(), h.end(), 0.0f);
    addOuterProducts({x.data(), 301, size, size}, h, threads);
    addOuterProducts({x.data() + 301 * size, rows - 301, size, size}, h,
                     threads);
    mirrorUpper(h, size, threads);
    if (one.empty())
      one = h;
    EXPECT_EQ(h, one) << threads << " threads";
  }
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j) {
      double sum = 0;
      for (int64_t r = 0; r < rows; ++r)
        sum += double(x[r * size + i]) * x[r * size + j];
      ASSERT_NEAR(h[i * size + j], sum, 0.01);
      ASSERT_EQ(h[i * size + j], h[j * size + i]);
    }
}

/// Columns of very different size, and sizes that fill no tile.
TEST_F(DenseMathTest, OuterProductsArePreciseForEachPair) {
  for (auto [rows, size] :
       {std::pair<int64_t, int64_t>{1, 1}, {33, 17}, {513, 33}, {1100, 250}}) {
    std::vector<float> x = makeNormal(rows * size), h(size * size);
    for (int64_t i = 0; i < rows * size; ++i)
      x[i] *= std::exp(5 * std::sin(3.7 * (i % size)));
    addOuterProducts({x.data(), rows, size, size}, h);
    std::vector<double> exact(size * size);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = i; j < size; ++j)
          exact[i * size + j] += double(x[r * size + i]) * x[r * size + j];
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = i; j < size; ++j) {
        double scale = std::sqrt(exact[i * size + i] * exact[j * size + j]);
        ASSERT_NEAR(h[i * size + j] / scale, exact[i * size + j] / scale,
                    std::exp2(-16))
            << rows << " rows, " << i << ", " << j;
      }
  }
}

TEST_F(DenseMathTest, FactorAndInverse) {
  for (int64_t size : {1, 5, 64, 65, 130, 260}) {
    std::vector<double> h = makeDefinite(size), m = h;
    // What is below the diagonal is not read.
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < i; ++j)
        m[i * size + j] = NAN;
    ASSERT_TRUE(factorCholesky(m, size));
    std::vector<double> v = m;
    invertUpper(v, size, /*threads=*/3);
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = i; j < size; ++j) {
        double product = 0, identity = 0;
        for (int64_t k = 0; k <= i; ++k)
          product += m[k * size + i] * m[k * size + j];
        for (int64_t k = i; k <= j; ++k)
          identity += m[i * size + k] * v[k * size + j];
        ASSERT_NEAR(product, h[i * size + j], 1e-9 * size);
        ASSERT_NEAR(identity, i == j, 1e-9);
      }
  }
}

TEST_F(DenseMathTest, FindsThatAMatrixIsNotDefinite) {
  for (int64_t at : {0, 63, 64, 129}) {
    std::vector<double> h = makeDefinite(130);
    h[at * 130 + at] = -1;
    EXPECT_FALSE(factorCholesky(h, 130));
  }
  std::vector<double> h = makeDefinite(130);
  h[3 * 130 + 70] = NAN;
  EXPECT_FALSE(factorCholesky(h, 130));
}

} // namespace
