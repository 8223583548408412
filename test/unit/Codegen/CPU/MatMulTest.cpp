//===- MatMulTest.cpp - Products with packed weights against float64 ------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"

#include "nibble/Quantizer/Scheme.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/TargetParser/Host.h"
#include <cmath>
#include <gtest/gtest.h>

namespace nibble::test {
namespace {

struct Case {
  int64_t n, k;
  unsigned bits; // 32: float
  int64_t group;
  bool zeros;
  std::string scale, activation;
  bool bias, residual;
};

std::string makeModule(const Case &c) {
  int64_t panels = (c.n + 31) / 32;
  std::string weight, scales, zeros, scheme;
  if (c.bits == 32) {
    weight = llvm::formatv("memref<{0}x{1}x32xf32>", panels, c.k);
    scheme = "packed_float";
  } else {
    int64_t groups = c.group > 0 ? (c.k + c.group - 1) / c.group : 1;
    int64_t bytes = c.k * (c.bits > 6 ? 32 : 4 * c.bits);
    weight = llvm::formatv("memref<{0}x{1}xi8>", panels, bytes);
    scales = llvm::formatv("memref<{0}x{1}x32x{2}>", panels, groups, c.scale);
    if (c.zeros)
      zeros = llvm::formatv("memref<{0}x{1}x32xi8>", panels, groups);
    scheme = llvm::formatv("scheme = #nibble.scheme<int{0}, group = {1}, "
                           "scale = {2}, {3}packing = panel>",
                           c.bits, c.group > 0 ? c.group : -1, c.scale,
                           c.zeros ? "zero = integer, " : "");
  }
  std::string input = llvm::formatv("memref<?x{0}xf32>", c.k);
  std::string bias = llvm::formatv("memref<{0}xf32>", c.n);
  std::string output = llvm::formatv("memref<?x{0}xf32>", c.n);

  FusedOpText text(input, weight, scales, zeros, c.bias ? bias : "",
                   c.residual ? output : "", output);
  return llvm::formatv(
      "func.func @f({0}) attributes {{llvm.emit_c_interface} {{\n"
      "  nibble.matmul {1} {{n = {2} : i64, k = {3} : i64, activation = "
      "#nibble.activation<{4}>, layers = [\"fc\"], {5}} : ({6}) -> ()\n"
      "  return\n}\n",
      text.arguments, text.operands, c.n, c.k, c.activation, scheme,
      text.types);
}

float roundToBF16(float x) {
  return quantizer::bfloat16ToFloat(quantizer::floatToBFloat16(x));
}

/// With `tiles` products of more rows than a register tile of floats has are
/// those of inputs rounded to bf16.
void check(const Case &c, codegen::CpuTarget target, bool tiles = false) {
  SCOPED_TRACE(llvm::formatv("n={0} k={1} bits={2} group={3} zeros={4} "
                             "scale={5} {6} bias={7} residual={8} avx512={9}",
                             c.n, c.k, c.bits, c.group, c.zeros, c.scale,
                             c.activation, c.bias, c.residual, target.avx512)
                   .str());
  auto module = JitModule::create(makeModule(c), target);
  ASSERT_TRUE(module);
  std::vector<float> weight, packed;
  std::vector<uint8_t> codes, scales, zeros;
  if (c.bits == 32) {
    weight = randomFloats(c.n * c.k, 1);
    packed = packFloats(weight, c.n, c.k);
  } else {
    QuantizedWeight q(c.n, c.k, c.bits, c.group, c.zeros, 1);
    weight = q.values();
    codes = q.panels();
    scales = convertScales(q.panelScales(), c.scale);
    zeros = q.panelZeros();
  }
  for (int64_t m : {1, 2, 3, 5, 8, 9, 16, 31, 40}) {
    SCOPED_TRACE(m);
    std::vector<float> x = randomFloats(m * c.k, 2), b = randomFloats(c.n, 3);
    std::vector<float> r = randomFloats(m * c.n, 4);
    // One row more than the result has, to see writes behind it.
    std::vector<float> y((m + 1) * c.n, 1234.5f);
    std::vector<MemRef> arguments = {MemRef(x, {m, c.k})};
    if (c.bits == 32)
      arguments.push_back(MemRef(packed, {(c.n + 31) / 32, c.k, 32}));
    else {
      arguments.push_back(MemRef(codes, {1, int64_t(codes.size())}));
      arguments.push_back(MemRef(scales, {1, 1, 32}));
    }
    if (c.zeros)
      arguments.push_back(MemRef(zeros, {1, 1, 32}));
    if (c.bias)
      arguments.push_back(MemRef(b, {c.n}));
    if (c.residual)
      arguments.push_back(MemRef(r, {m, c.n}));
    arguments.push_back(MemRef(y, {m, c.n}));
    ASSERT_TRUE(module->call("f", arguments));
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < c.n; ++j) {
        double sum = 0, rounded = 0, size = 1;
        for (int64_t k = 0; k < c.k; ++k) {
          float activation = x[i * c.k + k], w = weight[j * c.k + k];
          double product = double(activation) * w;
          sum += product;
          size += std::fabs(product);
          // Codes are exact, if their scale comes after the sum.
          bool isExact = c.bits != 32 && c.group <= 0;
          rounded +=
              double(roundToBF16(activation)) * (isExact ? w : roundToBF16(w));
        }
        double rest = c.bias ? b[j] : 0;
        rest += c.residual ? r[i * c.n + j] : 0;
        double want = applyActivation(c.activation, sum + rest);
        if (tiles && m > 12) {
          // Two roundings of 8 bits each.
          ASSERT_NEAR(y[i * c.n + j], want, size * 0x1p-8)
              << "row " << i << ", column " << j;
          want = applyActivation(c.activation, rounded + rest);
        }
        ASSERT_NEAR(y[i * c.n + j], want, size * (tiles ? 2e-6 : 1e-6))
            << "row " << i << ", column " << j;
      }
    for (int64_t j = 0; j < c.n; ++j)
      ASSERT_EQ(y[m * c.n + j], 1234.5f);
  }
}

TEST(MatMul, Formats) {
  for (codegen::CpuTarget target : targetsOfThisMachine())
    for (unsigned bits : {2, 3, 4, 5, 6, 7, 8})
      for (bool zeros : {false, true}) {
        const char *scale = bits == 3 ? "bf16" : bits == 8 ? "f32" : "f16";
        check({70, 72, bits, 32, zeros, scale, "none", false, false}, target);
      }
}

TEST(MatMul, Float) {
  for (codegen::CpuTarget target : targetsOfThisMachine()) {
    check({33, 50, 32, 0, false, "", "none", true, false}, target);
    check({300, 601, 32, 0, false, "", "none", true, true}, target);
  }
}

TEST(MatMul, TilesOfBF16) {
  auto features = llvm::sys::getHostCPUFeatures();
  for (const char *feature : {"amx-bf16", "avx512bf16", "avx512vl"})
    if (!features.lookup(feature))
      GTEST_SKIP() << "this CPU lacks " << feature;
  codegen::CpuTarget target;
  target.tiles = true;
  const Case cases[] = {
      {33, 50, 32, 0, false, "", "none", true, false},
      {70, 601, 32, 0, false, "", "gelu", true, true},
      {1, 7, 4, -1, false, "f16", "none", false, false},
      {100, 576, 8, -1, false, "f32", "none", true, true},
      {64, 129, 8, -1, true, "f16", "none", false, false},
      {70, 72, 2, 32, true, "f16", "relu", false, false},
      {70, 200, 3, 32, false, "bf16", "none", false, false},
      {65, 530, 4, 128, false, "f16", "none", true, false},
      // Blocks of steps, and a group that ends in the middle of a tile.
      {40, 4131, 4, 46, true, "f16", "silu", true, true},
      // Not for tiles: pairs of steps with two scales.
      {40, 90, 4, 15, false, "f16", "none", false, false}};
  for (const Case &c : cases)
    check(c, target, c.group != 15);
  allowTiles(false);
  check(cases[3], target);
  allowTiles(true);
}

TEST(MatMul, Shapes) {
  for (codegen::CpuTarget target : targetsOfThisMachine()) {
    check({1, 7, 4, -1, false, "f16", "none", false, false}, target);
    check({10, 64, 4, -1, true, "f16", "none", true, false}, target);
    check({257, 530, 4, 128, false, "f16", "none", true, false}, target);
    check({160, 515, 8, 16, true, "f16", "none", false, true}, target);
  }
}

TEST(MatMul, Activations) {
  for (codegen::CpuTarget target : targetsOfThisMachine())
    for (const char *name : {"relu", "relu6", "sigmoid", "silu", "gelu",
                             "gelu_tanh", "tanh", "hard_swish"})
      check({40, 33, 4, 16, false, "f16", name, true, false}, target);
}

} // namespace
} // namespace nibble::test
