//===- IntegerMatMulTest.cpp - Matrix products of bytes -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Against sums in 64 bits and doubles, with codes that are often at the ends of
// their range: where an intermediate of 16 bits could saturate, it would.
//
//===----------------------------------------------------------------------===//

#include "IntegerTest.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace nibble;
using namespace nibble::test;

namespace {

struct Case {
  int64_t batch, m, n, k;
  bool unsignedInput, unsignedWeight;
  /// none, one, many.
  std::string inputZero, weightZero, inputScale, weightScale;
  /// none, i32, f32.
  std::string bias;
  bool residual;
  std::string activation;
  /// i32, f32, s8, u8.
  std::string result;
  bool constantWeight, transposed;
};

void check(const Case &c, codegen::CpuTarget target) {
  SCOPED_TRACE(
      llvm::formatv(
          "batch={0} m={1} n={2} k={3} u={4}{5} xz={6} wz={7} xs={8} ws={9} "
          "bias={10} res={11} {12} -> {13} const={14} t={15}",
          c.batch, c.m, c.n, c.k, c.unsignedInput, c.unsignedWeight,
          c.inputZero, c.weightZero, c.inputScale, c.weightScale, c.bias,
          c.residual, c.activation, c.result, c.constantWeight, c.transposed)
          .str());
  SCOPED_TRACE(describe(target));
  int64_t rows = c.batch * c.m;
  IntegerProduct p;
  p.unsignedInput = c.unsignedInput;
  p.unsignedWeight = c.unsignedWeight;
  p.activation = c.activation;
  p.result = c.result;
  std::string batch = c.batch > 1 ? std::to_string(c.batch) + "x" : "";
  bool single = c.batch == 1;
  int64_t matrices = single ? 1 : c.batch;
  std::vector<uint8_t> input = randomCodes(rows * c.k, 1);
  std::vector<uint8_t> weight = randomCodes(matrices * c.n * c.k, 2);
  // A row count that the compiler does not know.
  p.addInput(input, batch + "?x" + std::to_string(c.k),
             c.batch > 1 ? std::vector<int64_t>{c.batch, c.m, c.k}
                         : std::vector<int64_t>{c.m, c.k});
  std::vector<int64_t> weightShape;
  if (!single)
    weightShape.push_back(matrices);
  weightShape.push_back(c.transposed ? c.n : c.k);
  weightShape.push_back(c.transposed ? c.k : c.n);
  p.addWeight(weight, weightShape, c.constantWeight);
  p.addStages(c.inputZero, c.weightZero, c.inputScale, c.weightScale, c.bias,
              c.residual, batch + "?", rows,
              c.batch > 1 ? std::vector<int64_t>{c.batch, c.m}
                          : std::vector<int64_t>{c.m},
              c.n, batch + "?x" + std::to_string(c.n), rows * c.n);
  std::vector<int64_t> outShape = {c.m, c.n};
  if (c.batch > 1)
    outShape.insert(outShape.begin(), c.batch);
  std::string attributes =
      llvm::formatv("n = {0} : i64, k = {1} : i64{2}", c.n, c.k,
                    c.transposed ? ", transpose_weight" : "");
  if (!p.run("matmul_integer", attributes, batch + "?x" + std::to_string(c.n),
             outShape, target))
    return;

  auto code = [](uint8_t byte, bool isUnsigned) {
    return isUnsigned ? int64_t(byte) : int64_t(int8_t(byte));
  };
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t n = 0; n < c.n; ++n) {
      int64_t sum = 0;
      int64_t matrix = single ? 0 : r / c.m;
      for (int64_t k = 0; k < c.k; ++k) {
        int64_t at = c.transposed ? (matrix * c.n + n) * c.k + k
                                  : (matrix * c.k + k) * c.n + n;
        sum += (code(input[r * c.k + k], c.unsignedInput) - p.xz(r)) *
               (code(weight[at], c.unsignedWeight) - p.wz(n));
      }
      if (!p.expect(sum, r, n, r * c.n + n))
        return;
    }
}

/// On the best target, and on one of the others in turn: all of them for each
/// case would take minutes.
void check(const Case &c) {
  static size_t turn = 0;
  std::vector<codegen::CpuTarget> targets = targetsOfThisMachine(true);
  check(c, targets.back());
  if (targets.size() > 1)
    check(c, targets[turn++ % (targets.size() - 1)]);
}

const char *const extents[] = {"none", "one", "many"};

TEST(IntegerMatMul, SignsAndZeroPoints) {
  int i = 0;
  for (bool unsignedInput : {false, true})
    for (bool unsignedWeight : {false, true})
      for (std::string inputZero : extents)
        for (std::string weightZero : extents) {
          // Every second combination: both signs meet all zero points.
          if (++i % 2)
            continue;
          int64_t m = i % 3 == 0 ? 1 : i % 3 == 1 ? 3 : 11;
          check({1, m, 37 + i, 17 + 5 * i, unsignedInput, unsignedWeight,
                 inputZero, weightZero, "none", "none", i % 8 ? "none" : "i32",
                 false, "none", "i32", true, i % 4 == 0});
        }
}

TEST(IntegerMatMul, Shapes) {
  int64_t shapes[][3] = {{1, 1, 1},     {1, 32, 4},    {1, 300, 64},
                         {2, 33, 5},    {4, 64, 128},  {5, 96, 67},
                         {8, 31, 256},  {9, 65, 130},  {33, 40, 300},
                         {130, 70, 63}, {257, 32, 68}, {16, 200, 1000}};
  for (auto &[m, n, k] : shapes)
    for (bool constant : {true, false})
      check({1, m, n, k, true, false, "one", "none", "none", "none", "none",
             false, "none", "i32", constant, false});
}

TEST(IntegerMatMul, Results) {
  const char *results[] = {"f32", "s8", "u8"};
  const char *activations[] = {"none", "relu", "relu6", "silu", "gelu"};
  int i = 0;
  for (std::string result : results)
    for (std::string activation : activations)
      for (std::string bias : {"none", "i32", "f32"}) {
        if (++i % 2)
          continue;
        check({1, 1 + i % 10, 45, 60 + i, i % 4 == 0, false, extents[i % 3],
               "none", extents[(i / 2) % 3], extents[(i / 3) % 3], bias,
               i % 5 == 0, activation, result, true, false});
      }
}

TEST(IntegerMatMul, WeightsOfTheRun) {
  for (bool transposed : {false, true})
    for (bool unsignedWeight : {false, true})
      for (std::string zero : extents)
        for (int64_t batch : zero == "one" ? std::vector<int64_t>{1, 3}
                                           : std::vector<int64_t>{3})
          check({batch, 7, 70, 29, false, unsignedWeight, "one", zero, "many",
                 "one", "none", false, "none", "f32", false, transposed});
}

} // namespace
