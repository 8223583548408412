//===- LinalgTest.cpp - Loops for linalg against plain C++ ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"

#include <cmath>
#include <gtest/gtest.h>

namespace nibble::test {
namespace {

using Floats = std::vector<float>;

std::string function(const std::string &arguments, const std::string &body) {
  return "func.func @f(" + arguments +
         ") attributes {llvm.emit_c_interface} {\n" + body + "\n  return\n}\n";
}

TEST(Linalg, BiasPerChannel) {
  auto module = JitModule::create(
      "#all = affine_map<(n, c, h, w) -> (n, c, h, w)>\n"
      "#channel = affine_map<(n, c, h, w) -> (c)>\n" +
          function("%x: memref<?x?x?x?xf32>, %b: memref<?xf32>, "
                   "%y: memref<?x?x?x?xf32>",
                   R"(
  linalg.generic {indexing_maps = [#all, #channel, #all],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x, %b : memref<?x?x?x?xf32>, memref<?xf32>)
      outs(%y : memref<?x?x?x?xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %0 = arith.addf %a, %c : f32
    linalg.yield %0 : f32
  })"),
      targetsOfThisMachine().back());
  ASSERT_TRUE(module);
  for (int64_t width : {1, 5, 16, 33, 300}) {
    Floats x = randomFloats(2 * 3 * 7 * width, 1), b = randomFloats(3, 2);
    Floats y(x.size() + 16, -7.0f);
    ASSERT_TRUE(module->call("f", {MemRef(x, {2, 3, 7, width}), MemRef(b, {3}),
                                   MemRef(y, {2, 3, 7, width})}));
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(y[i], x[i] + b[i / (7 * width) % 3]);
    for (size_t i = x.size(); i < y.size(); ++i)
      ASSERT_EQ(y[i], -7.0f);
  }
}

TEST(Linalg, Reductions) {
  // The last dimension in vectors with lanes combined at the end; the first
  // with a vector of sums.
  for (bool last : {true, false}) {
    std::string map = last ? "(a, b) -> (a)" : "(a, b) -> (b)";
    std::string kinds =
        last ? R"("parallel", "reduction")" : R"("reduction", "parallel")";
    auto module = JitModule::create(
        "#all = affine_map<(a, b) -> (a, b)>\n#out = affine_map<" + map +
            ">\n" +
            function("%x: memref<?x?xf32>, %s: memref<?xf32>, "
                     "%m: memref<?xf32>",
                     R"(
  linalg.generic {indexing_maps = [#all, #out, #out], iterator_types = [)" +
                         kinds + R"(]}
      ins(%x : memref<?x?xf32>) outs(%s, %m : memref<?xf32>, memref<?xf32>) {
  ^bb0(%a: f32, %o: f32, %p: f32):
    %0 = arith.addf %o, %a : f32
    %1 = arith.maximumf %p, %a : f32
    linalg.yield %0, %1 : f32, f32
  })"),
        targetsOfThisMachine().back());
    ASSERT_TRUE(module);
    for (auto [rows, columns] :
         {std::pair<int64_t, int64_t>{3, 5}, {17, 16}, {1, 1000}, {90, 77}}) {
      Floats x = randomFloats(rows * columns, 1);
      int64_t count = last ? rows : columns;
      Floats s(count, 0.5f), m(count, -INFINITY);
      ASSERT_TRUE(module->call("f", {MemRef(x, {rows, columns}),
                                     MemRef(s, {count}), MemRef(m, {count})}));
      for (int64_t i = 0; i < count; ++i) {
        double sum = 0.5;
        float highest = -INFINITY;
        for (int64_t j = 0; j < (last ? columns : rows); ++j) {
          float value = last ? x[i * columns + j] : x[j * columns + i];
          sum += value;
          highest = std::max(highest, value);
        }
        ASSERT_NEAR(s[i], sum, 1e-4);
        ASSERT_EQ(m[i], highest);
      }
    }
  }
}

TEST(Linalg, BatchMatMul) {
  for (codegen::CpuTarget target : targetsOfThisMachine())
    for (bool transposed : {false, true}) {
      std::string maps =
          transposed
              ? "indexing_maps = [affine_map<(b, m, n, k) -> (b, m, k)>, "
                "affine_map<(b, m, n, k) -> (b, n, k)>, "
                "affine_map<(b, m, n, k) -> (b, m, n)>]"
              : "";
      auto module = JitModule::create(
          function("%x: memref<?x?x?xf32>, %w: memref<?x?x?xf32>, "
                   "%y: memref<?x?x?xf32>",
                   "linalg.batch_matmul " + maps +
                       " ins(%x, %w : memref<?x?x?xf32>, memref<?x?x?xf32>) "
                       "outs(%y : memref<?x?x?xf32>)"),
          target);
      ASSERT_TRUE(module);
      for (auto [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 7, 5},
                             {5, 70, 33},
                             {8, 128, 64},
                             {13, 17, 16}}) {
        Floats x = randomFloats(3 * m * k, 1), w = randomFloats(3 * n * k, 2);
        Floats y(3 * m * n, 1.0f);
        MemRef weight =
            transposed ? MemRef(w, {3, n, k}) : MemRef(w, {3, k, n});
        ASSERT_TRUE(module->call(
            "f", {MemRef(x, {3, m, k}), weight, MemRef(y, {3, m, n})}));
        for (int64_t at = 0; at < 3 * m * n; ++at) {
          int64_t b = at / (m * n), i = at / n % m, j = at % n;
          double sum = 1;
          for (int64_t l = 0; l < k; ++l)
            sum +=
                double(x[(b * m + i) * k + l]) *
                (transposed ? w[(b * n + j) * k + l] : w[(b * k + l) * n + j]);
          ASSERT_NEAR(y[at], sum, 1e-5);
        }
      }
    }
}

TEST(Linalg, Pooling) {
  auto module = JitModule::create(
      function("%x: memref<?x?x?x?xf32>, %w: memref<3x3xf32>, "
               "%y: memref<?x?x?x?xf32>",
               R"(linalg.pooling_nchw_max {strides = dense<2> : vector<2xi64>,
      dilations = dense<1> : vector<2xi64>}
      ins(%x, %w : memref<?x?x?x?xf32>, memref<3x3xf32>)
      outs(%y : memref<?x?x?x?xf32>))"),
      targetsOfThisMachine().back());
  ASSERT_TRUE(module);
  int64_t height = 21, width = 45, oh = 10, ow = 22;
  Floats x = randomFloats(2 * 3 * height * width, 1), window(9);
  Floats y(2 * 3 * oh * ow, -INFINITY);
  ASSERT_TRUE(
      module->call("f", {MemRef(x, {2, 3, height, width}),
                         MemRef(window, {3, 3}), MemRef(y, {2, 3, oh, ow})}));
  for (int64_t at = 0; at < int64_t(y.size()); ++at) {
    int64_t plane = at / (oh * ow), i = at / ow % oh, j = at % ow;
    float highest = -INFINITY;
    for (int64_t tap = 0; tap < 9; ++tap)
      highest = std::max(
          highest,
          x[(plane * height + 2 * i + tap / 3) * width + 2 * j + tap % 3]);
    ASSERT_EQ(y[at], highest);
  }
}

TEST(Linalg, StridedCopyAndTranspose) {
  auto module =
      JitModule::create(function("%x: memref<?x?xf32>, %y: memref<?x?xf32>",
                                 R"(
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = memref.dim %x, %c0 : memref<?x?xf32>
  %n = memref.dim %x, %c1 : memref<?x?xf32>
  %v = memref.subview %y[1, 2] [%n, %m] [1, 1]
    : memref<?x?xf32> to memref<?x?xf32, strided<[?, 1], offset: ?>>
  %t = memref.alloc(%n, %m) : memref<?x?xf32>
  linalg.transpose ins(%x : memref<?x?xf32>) outs(%t : memref<?x?xf32>)
    permutation = [1, 0]
  memref.copy %t, %v
    : memref<?x?xf32> to memref<?x?xf32, strided<[?, 1], offset: ?>>
  memref.dealloc %t : memref<?x?xf32>)"),
                        targetsOfThisMachine().back());
  ASSERT_TRUE(module);
  int64_t m = 19, n = 35;
  Floats x = randomFloats(m * n, 1), y((n + 1) * (m + 4), 9.0f);
  ASSERT_TRUE(
      module->call("f", {MemRef(x, {m, n}), MemRef(y, {n + 1, m + 4})}));
  for (int64_t i = 0; i < n + 1; ++i)
    for (int64_t j = 0; j < m + 4; ++j)
      ASSERT_EQ(y[i * (m + 4) + j],
                i >= 1 && j >= 2 && j < m + 2 ? x[(j - 2) * n + i - 1] : 9.0f);
}

TEST(Linalg, BooleansIntegersAndIndices) {
  auto module = JitModule::create(
      "#id = affine_map<(i) -> (i)>\n" +
          function("%x: memref<?xi64>, %k: memref<?xi1>, %y: memref<?xi64>",
                   R"(
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xi64>) outs(%k : memref<?xi1>) {
  ^bb0(%a: i64, %o: i1):
    %c = arith.constant 3 : i64
    %0 = arith.cmpi sgt, %a, %c : i64
    linalg.yield %0 : i1
  }
  linalg.generic {indexing_maps = [#id, #id, #id],
      iterator_types = ["parallel"]}
      ins(%x, %k : memref<?xi64>, memref<?xi1>) outs(%y : memref<?xi64>) {
  ^bb0(%a: i64, %m: i1, %o: i64):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i64
    %q = arith.divsi %j, %a : i64
    %0 = arith.select %m, %a, %q : i64
    linalg.yield %0 : i64
  })"),
      targetsOfThisMachine().back());
  ASSERT_TRUE(module);
  int64_t count = 45;
  std::vector<int64_t> x(count), y(count);
  std::vector<uint8_t> mask(count);
  for (int64_t i = 0; i < count; ++i)
    x[i] = 1 + i % 7;
  ASSERT_TRUE(module->call(
      "f", {MemRef(x, {count}), MemRef(mask, {count}), MemRef(y, {count})}));
  for (int64_t i = 0; i < count; ++i)
    ASSERT_EQ(y[i], x[i] > 3 ? x[i] : i / x[i]);
}

} // namespace
} // namespace nibble::test
