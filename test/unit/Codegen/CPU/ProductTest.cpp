//===- ProductTest.cpp - Products of computed operands against float64 ----===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"

#include "nibble/Quantizer/Scheme.h"
#include "llvm/TargetParser/Host.h"
#include <cmath>
#include <gtest/gtest.h>

namespace nibble::test {
namespace {

using Floats = std::vector<float>;

/// Loops of a product: two of batches, rows, columns, contraction.
const std::string loops = "bhmnk";

/// A product, the dimensions of its tensors as letters of loops.
struct Case {
  std::string left, right, out;
};

struct Sizes {
  int64_t b, h, m, n, k;
  int64_t of(char loop) const {
    const int64_t all[] = {b, h, m, n, k};
    return all[loops.find(loop)];
  }
  std::vector<int64_t> shape(const std::string &dims) const {
    std::vector<int64_t> result;
    for (char d : dims)
      result.push_back(of(d));
    return result;
  }
  int64_t count(const std::string &dims) const {
    int64_t result = 1;
    for (char d : dims)
      result *= of(d);
    return result;
  }
  /// Elements from one step of a loop to the next.
  int64_t stride(const std::string &dims, char loop) const {
    size_t at = dims.find(loop);
    return at == std::string::npos ? 0 : count(dims.substr(at + 1));
  }
};

std::string makeMap(const Case &c, const std::string &dims) {
  std::string names, results;
  for (char loop : loops)
    if ((c.left + c.right).find(loop) != std::string::npos)
      names += (names.empty() ? "" : ", ") + std::string(1, loop);
  for (char d : dims)
    results += (results.empty() ? "" : ", ") + std::string(1, d);
  return "affine_map<(" + names + ") -> (" + results + ")>";
}

std::string makeType(const std::string &dims, const Sizes *sizes) {
  std::string type = "memref<";
  for (char d : dims)
    type += (sizes ? std::to_string(sizes->of(d)) : "?") + "x";
  return type + "f32>";
}

/// With `sizes` they are known to the code.
std::string makeModule(const Case &c, const Sizes *sizes) {
  std::string x = makeType(c.left, sizes), w = makeType(c.right, sizes),
              y = makeType(c.out, sizes);
  return "func.func @f(%x: " + x + ", %w: " + w + ", %y: " + y +
         ") attributes {llvm.emit_c_interface} {\n  linalg.contract "
         "indexing_maps = [" +
         makeMap(c, c.left) + ", " + makeMap(c, c.right) + ", " +
         makeMap(c, c.out) + "] ins(%x, %w : " + x + ", " + w +
         ") outs(%y : " + y + ")\n  return\n}\n";
}

float roundToBF16(float x) {
  return quantizer::bfloat16ToFloat(quantizer::floatToBFloat16(x));
}

void check(JitModule &module, const Case &c, const Sizes &s, bool tiles) {
  SCOPED_TRACE(c.left + " " + c.right + " " + c.out +
               " m=" + std::to_string(s.m) + " n=" + std::to_string(s.n) +
               " k=" + std::to_string(s.k));
  Floats x = randomFloats(s.count(c.left), 1),
         w = randomFloats(s.count(c.right), 2);
  // A guard behind the result.
  Floats y(s.count(c.out) + 64, 0.5f);
  ASSERT_TRUE(
      module.call("f", {MemRef(x, s.shape(c.left)), MemRef(w, s.shape(c.right)),
                        MemRef(y, s.shape(c.out))}));
  auto at = [&](const std::string &dims, int64_t b, int64_t h, int64_t m,
                int64_t n, int64_t k) {
    const int64_t index[] = {b, h, m, n, k};
    int64_t result = 0;
    for (size_t i = 0; i < loops.size(); ++i)
      result += index[i] * s.stride(dims, loops[i]);
    return result;
  };
  for (int64_t b = 0; b < s.b; ++b)
    for (int64_t h = 0; h < s.h; ++h)
      for (int64_t m = 0; m < s.m; ++m)
        for (int64_t n = 0; n < s.n; ++n) {
          double sum = 0.5, rounded = 0.5, size = 1;
          for (int64_t k = 0; k < s.k; ++k) {
            float u = x[at(c.left, b, h, m, n, k)],
                  v = w[at(c.right, b, h, m, n, k)];
            sum += double(u) * v;
            rounded += double(roundToBF16(u)) * roundToBF16(v);
            size += std::fabs(double(u) * v);
          }
          float got = y[at(c.out, b, h, m, n, 0)];
          ASSERT_NEAR(got, tiles ? rounded : sum, size * 2e-6)
              << "at " << b << ' ' << h << ' ' << m << ' ' << n;
        }
  for (size_t i = s.count(c.out); i < y.size(); ++i)
    ASSERT_EQ(y[i], 0.5f);
}

const Case matrices[] = {{"mk", "kn", "mn"},
                         {"km", "kn", "mn"},
                         {"mk", "nk", "mn"},
                         {"km", "nk", "mn"},
                         // The transposed result.
                         {"mk", "kn", "nm"}};
const Case batches[] = {{"bmk", "bkn", "bmn"},
                        {"bkm", "bkn", "bmn"},
                        {"bhmk", "bhnk", "bhmn"},
                        // Heads of tokens.
                        {"bmhk", "bnhk", "bhmn"},
                        {"bhmk", "bkhn", "bmhn"}};
/// Ragged, whole tiles, several blocks of rows and of steps, and small ones for
/// which nothing is packed.
const Sizes sizes[] = {{1, 1, 64, 64, 64},   {1, 1, 67, 45, 83},
                       {1, 1, 16, 257, 33},  {1, 1, 300, 37, 301},
                       {1, 1, 33, 16, 2100}, {1, 1, 5, 70, 40},
                       {1, 1, 70, 3, 40},    {1, 1, 40, 70, 5}};
const Sizes batchSizes[] = {{2, 3, 64, 32, 64},
                            {3, 2, 45, 70, 31},
                            {1, 3, 17, 129, 64},
                            {2, 2, 1, 9, 8}};

TEST(Product, Layouts) {
  for (codegen::CpuTarget target : targetsOfThisMachine()) {
    for (const Case &c : matrices) {
      auto module = JitModule::create(makeModule(c, nullptr), target);
      ASSERT_TRUE(module);
      for (const Sizes &s : sizes)
        check(*module, c, s, false);
    }
  }
}

TEST(Product, Batches) {
  for (codegen::CpuTarget target : targetsOfThisMachine())
    for (const Case &c : batches) {
      auto module = JitModule::create(makeModule(c, nullptr), target);
      ASSERT_TRUE(module);
      for (Sizes s : batchSizes) {
        if (c.left.find('h') == std::string::npos)
          s.h = 1;
        check(*module, c, s, false);
      }
    }
}

TEST(Product, KnownSizes) {
  for (codegen::CpuTarget target : targetsOfThisMachine())
    for (const Sizes &s : {sizes[1], sizes[5]}) {
      auto module = JitModule::create(makeModule(matrices[3], &s), target);
      ASSERT_TRUE(module);
      check(*module, matrices[3], s, false);
    }
}

TEST(Product, Tiles) {
  auto features = llvm::sys::getHostCPUFeatures();
  for (const char *feature : {"amx-bf16", "avx512bf16", "avx512vl"})
    if (!features.lookup(feature))
      GTEST_SKIP() << "this CPU lacks " << feature;
  codegen::CpuTarget target;
  target.tiles = true;
  auto isLarge = [](const Sizes &s) {
    return s.m >= 16 && s.n >= 16 && s.k >= 16 && s.m * s.n * s.k >= 1 << 16;
  };
  for (const Case &c : matrices) {
    auto module = JitModule::create(makeModule(c, nullptr), target);
    ASSERT_TRUE(module);
    for (const Sizes &s : sizes)
      check(*module, c, s, isLarge(s));
    allowTiles(false);
    check(*module, c, sizes[1], false);
    allowTiles(true);
  }
  for (const Case &c : batches) {
    auto module = JitModule::create(makeModule(c, nullptr), target);
    ASSERT_TRUE(module);
    for (Sizes s : batchSizes) {
      if (c.left.find('h') == std::string::npos)
        s.h = 1;
      check(*module, c, s, isLarge(s));
    }
  }
}

/// Products that store instead of adding: what the result held is not read.
TEST(Product, ZerosAreNotRead) {
  auto module = JitModule::create(
      R"(func.func @f(%x: memref<?x?xf32>, %w: memref<?x?xf32>,
    %y: memref<?x?xf32>) attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %m = memref.dim %x, %c0 : memref<?x?xf32>
  %n = memref.dim %w, %c1 : memref<?x?xf32>
  %r = memref.alloc(%m, %n) {alignment = 64 : i64} : memref<?x?xf32>
  linalg.fill ins(%zero : f32) outs(%r : memref<?x?xf32>)
  linalg.matmul ins(%x, %w : memref<?x?xf32>, memref<?x?xf32>)
    outs(%r : memref<?x?xf32>)
  memref.copy %r, %y : memref<?x?xf32> to memref<?x?xf32>
  memref.dealloc %r : memref<?x?xf32>
  return
})",
      targetsOfThisMachine().back());
  ASSERT_TRUE(module);
  for (const Sizes &s : {sizes[1], sizes[3], sizes[5]}) {
    Floats x = randomFloats(s.m * s.k, 1), w = randomFloats(s.k * s.n, 2);
    Floats y(s.m * s.n);
    ASSERT_TRUE(module->call("f", {MemRef(x, {s.m, s.k}), MemRef(w, {s.k, s.n}),
                                   MemRef(y, {s.m, s.n})}));
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < s.k; ++k)
          sum += double(x[i * s.k + k]) * w[k * s.n + j];
        ASSERT_NEAR(y[i * s.n + j], sum, 2e-5);
      }
  }
}

} // namespace
} // namespace nibble::test
