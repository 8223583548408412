//===- OutliersTest.cpp - Kernels of LLM.int8 -----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The codes are the quantizer's, bit for bit. Products go from the marked
// operation on tensors to code, and are compared with doubles.
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Outliers.h"
#include "IntegerTest.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace nibble;
using namespace nibble::test;

namespace {

/// Activations of which a row in `every` has outliers, in some columns.
std::vector<float> makeInput(int64_t rows, int64_t k, int64_t every) {
  std::vector<float> x = randomFloats(rows * k, 7);
  for (float &value : x)
    value = std::fmod(value, 1.0f) * 5.9f;
  if (every)
    for (int64_t r = 0; r < rows; r += every)
      for (int64_t i = r % 3; i < k; i += every == 1 ? 1 : 13)
        x[r * k + i] = i % 2 ? 6.0f : -77.5f;
  return x;
}

/// Quantizes with one threshold on one target.
class Codes {
public:
  Codes(float threshold, codegen::CpuTarget target)
      : threshold(threshold), target(describe(target)),
        jit(JitModule::create(
            llvm::formatv(
                "func.func @f(%x: memref<?x?xf32>, %c: memref<?x?xi8>,"
                " %s: memref<?xf32>, %o: memref<?xi32>, %n: memref<1xi32>)"
                " attributes {{llvm.emit_c_interface} {{\n"
                "  nibble.quantize_outliers %x outs(%c, %s, %o, %n) {{threshold"
                " = {0:e} : f32} : (memref<?x?xf32>, memref<?x?xi8>,"
                " memref<?xf32>, memref<?xi32>, memref<1xi32>) -> ()\n"
                "  return\n}",
                threshold),
            target)) {}

  void check(int64_t rows, int64_t k, std::vector<float> x) {
    SCOPED_TRACE(llvm::formatv("{0} rows of {1}, threshold {2}, {3}", rows, k,
                               threshold, target)
                     .str());
    ASSERT_TRUE(jit);
    std::vector<uint8_t> codes(rows * k, 0xee);
    std::vector<float> scales(rows, NAN), wantedScales(rows);
    std::vector<int32_t> columns(k, -1), count(1, -1);
    std::vector<int8_t> wanted(rows * k);
    ASSERT_TRUE(jit->call("f", {MemRef(x, {rows, k}), MemRef(codes, {rows, k}),
                                MemRef(scales, {rows}), MemRef(columns, {k}),
                                MemRef(count, {1})}));
    auto wantedColumns = quantizer::quantizeOutlierActivations(
        x, rows, threshold, wanted, wantedScales);
    ASSERT_EQ(count[0], int32_t(wantedColumns.size()));
    columns.resize(count[0]);
    EXPECT_EQ(columns, wantedColumns);
    for (int64_t r = 0; r < rows; ++r) {
      if (std::isnan(wantedScales[r])) {
        EXPECT_TRUE(std::isnan(scales[r]));
        continue;
      }
      EXPECT_EQ(scales[r], wantedScales[r]);
      for (int64_t i = r * k; i < (r + 1) * k; ++i)
        ASSERT_EQ(codes[i] - 128, wanted[i])
            << "row " << r << ", " << i - r * k;
    }
  }

private:
  float threshold;
  std::string target;
  std::unique_ptr<JitModule> jit;
};

TEST(Outliers, CodesAreTheQuantizers) {
  for (codegen::CpuTarget target : targetsOfThisMachine()) {
    Codes some(6, target), none(0, target);
    for (auto [rows, k] : {std::pair<int64_t, int64_t>{1, 1},
                           {1, 577},
                           {3, 130},
                           {70, 33},
                           {200, 64}})
      for (int64_t every : {0, 1, 5})
        some.check(rows, k, makeInput(rows, k, every));
    none.check(4, 40, makeInput(4, 40, 1));
    some.check(0, 40, {});
    std::vector<float> hard = makeInput(6, 50, 0);
    hard[3] = NAN;
    hard[60] = INFINITY;
    hard[61] = -INFINITY;
    std::fill(hard.begin() + 100, hard.begin() + 150, 0.0f);
    std::fill(hard.begin() + 150, hard.begin() + 200, 1e-39f);
    std::fill(hard.begin() + 200, hard.begin() + 250, -2.5e-36f);
    some.check(6, 50, hard);
    none.check(6, 50, hard);
  }
}

struct Case {
  int64_t m, n, k;
  /// A row in so many has outliers; 0: none.
  int64_t every;
  bool bias = false, residual = false;
  std::string activation = "none";
  float threshold = 6;
};

void checkProduct(const Case &c, codegen::CpuTarget target) {
  SCOPED_TRACE(llvm::formatv("m={0} n={1} k={2} every={3} {4} {5} {6} {7}, {8}",
                             c.m, c.n, c.k, c.every, c.bias, c.residual,
                             c.activation, c.threshold, describe(target))
                   .str());
  std::vector<uint8_t> weight = randomCodes(c.n * c.k, 2);
  std::vector<float> scales = randomFloats(c.n, 3);
  for (float &scale : scales)
    scale = 0.01f * (std::abs(scale) + 0.1f);
  auto dense = [](llvm::StringRef bytes, const std::string &type) {
    return "dense<\"0x" + llvm::toHex(bytes) + "\"> : tensor<" + type + ">";
  };
  std::string codesType = llvm::formatv("{0}x{1}xi8", c.n, c.k);
  std::string scalesType = llvm::formatv("{0}x1xf32", c.n);
  std::string out = llvm::formatv("?x{0}xf32", c.n);
  std::string codesText = dense(
      {reinterpret_cast<char *>(weight.data()), weight.size()}, codesType);
  std::string scalesText = dense(
      {reinterpret_cast<char *>(scales.data()), 4 * scales.size()}, scalesType);
  std::string operands, types;
  if (c.bias) {
    operands += " bias(%b)";
    types += llvm::formatv(", tensor<{0}xf32>", c.n);
  }
  if (c.residual) {
    operands += " residual(%r)";
    types += ", tensor<" + out + ">";
  }
  auto jit = JitModule::create(
      llvm::formatv(
          "func.func @f(%x: tensor<?x{0}xf32>, %b: tensor<{1}xf32>, "
          "%r: tensor<{2}>, %out: memref<{2}>) attributes "
          "{{llvm.emit_c_interface} {{\n"
          "  %w = nibble.constant {3}\n  %s = nibble.constant {4}\n"
          "  %y = nibble.matmul %x weight(%w, %s){5} {{n = {1} : i64, k = {0} "
          ": i64, scheme = #nibble.scheme<int8, group = -1, scale = f32, "
          "packing = rows>, activation = #nibble.activation<{6}>, "
          "nibble.outlier_threshold = {7:e} : f32} : (tensor<?x{0}xf32>, "
          "tensor<{8}>, tensor<{9}>{10}) -> tensor<{2}>\n"
          "  bufferization.materialize_in_destination %y in restrict writable "
          "%out : (tensor<{2}>, memref<{2}>) -> ()\n  return\n}",
          c.k, c.n, out, codesText, scalesText, operands, c.activation,
          c.threshold, codesType, scalesType, types),
      target, /*tensors=*/true);
  ASSERT_TRUE(jit);
  std::vector<float> x = makeInput(c.m, c.k, c.every);
  std::vector<float> bias = randomFloats(c.n, 4);
  std::vector<float> residual = randomFloats(c.m * c.n, 5);
  std::vector<float> y(c.m * c.n, NAN);
  ASSERT_TRUE(
      jit->call("f", {MemRef(x, {c.m, c.k}), MemRef(bias, {c.n}),
                      MemRef(residual, {c.m, c.n}), MemRef(y, {c.m, c.n})}));

  std::vector<int8_t> codes(x.size());
  std::vector<float> rowScales(c.m);
  auto columns = quantizer::quantizeOutlierActivations(x, c.m, c.threshold,
                                                       codes, rowScales);
  for (int64_t r = 0; r < c.m; ++r)
    for (int64_t j = 0; j < c.n; ++j) {
      auto code = [&](int64_t i) { return int8_t(weight[j * c.k + i]); };
      int64_t sum = 0;
      for (int64_t i = 0; i < c.k; ++i)
        sum += codes[r * c.k + i] * code(i);
      double want = double(sum) * rowScales[r] * scales[j];
      double magnitude = std::abs(want);
      for (int32_t i : columns) {
        double part = double(x[r * c.k + i]) * code(i) * scales[j];
        want += part;
        magnitude += std::abs(part);
      }
      want += c.bias ? bias[j] : 0;
      want += c.residual ? residual[r * c.n + j] : 0;
      want = applyActivation(c.activation, want);
      // Roundings of floats only: integers are exact.
      ASSERT_NEAR(y[r * c.n + j], want, 1e-6 * magnitude + 2e-5)
          << "row " << r << ", channel " << j;
    }
}

TEST(Outliers, Products) {
  const Case cases[] = {
      {1, 1, 1, 1},
      {1, 33, 37, 1},
      {1, 100, 129, 2},
      {9, 33, 130, 2},
      {65, 31, 100, 7},
      {130, 70, 64, 50, true, true},
      {16, 200, 300, 1},
      {8, 32, 4, 1, true},
      {7, 45, 90, 3, false, true, "relu"},
      {7, 45, 90, 3, true, true, "gelu"},
      {7, 45, 90, 0, true, true, "silu"},
      {12, 45, 90, 3, true, false, "none", 0},
      {12, 45, 90, 3, true, true, "none", 50},
  };
  // All cases on the best target, and in turn on the others.
  std::vector<codegen::CpuTarget> targets = targetsOfThisMachine(true);
  size_t turn = 0;
  for (const Case &c : cases) {
    checkProduct(c, targets.back());
    if (targets.size() > 1)
      checkProduct(c, targets[turn++ % (targets.size() - 1)]);
  }
}

} // namespace
