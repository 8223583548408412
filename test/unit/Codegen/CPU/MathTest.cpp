//===- MathTest.cpp - Functions without calls against libm ----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"

#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <gtest/gtest.h>

namespace nibble::test {
namespace {

struct Function {
  const char *name;
  double (*reference)(double);
  float low, high;
};

class MathTest : public testing::TestWithParam<Function> {};

TEST_P(MathTest, Accuracy) {
  Function f = GetParam();
  std::string text = llvm::formatv(
      "#id = affine_map<(i) -> (i)>\n"
      "func.func @f(%x: memref<?xf32>, %y: memref<?xf32>) attributes "
      "{{llvm.emit_c_interface} {{\n"
      "  linalg.generic {{indexing_maps = [#id, #id], iterator_types = "
      "[\"parallel\"]} ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {{\n"
      "  ^bb0(%a: f32, %b: f32):\n    %0 = math.{0} %a : f32\n"
      "    linalg.yield %0 : f32\n  }\n  return\n}\n",
      f.name);
  auto module = JitModule::create(text, targetsOfThisMachine().back());
  ASSERT_TRUE(module);
  constexpr int64_t count = 200001;
  std::vector<float> x(count), y(count);
  for (int64_t i = 0; i < count; ++i)
    x[i] = f.low + (f.high - f.low) * (float(i) / (count - 1));
  ASSERT_TRUE(module->call("f", {MemRef(x, {count}), MemRef(y, {count})}));
  double worst = 0;
  float at = 0;
  for (int64_t i = 0; i < count; ++i) {
    double expected = f.reference(x[i]);
    if (std::isinf(float(expected)) && y[i] == float(expected))
      continue;
    // Results below the normal numbers may be anything as small.
    double error = std::fabs(y[i] - expected);
    error = error < 1.2e-38 ? 0 : error / std::fabs(expected);
    if (!(error <= worst)) {
      worst = error;
      at = x[i];
    }
  }
  EXPECT_LE(worst, 1e-6) << f.name << " at " << at;
  std::vector<float> special = {INFINITY, -INFINITY, NAN, 0.0f};
  std::vector<float> result(4);
  ASSERT_TRUE(module->call("f", {MemRef(special, {4}), MemRef(result, {4})}));
  for (int i = 0; i < 4; ++i) {
    float expected = float(f.reference(special[i]));
    if (std::isnan(expected))
      EXPECT_TRUE(std::isnan(result[i])) << f.name << " of " << special[i];
    else
      EXPECT_FLOAT_EQ(result[i], expected) << f.name << " of " << special[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Functions, MathTest,
    testing::Values(Function{"exp", std::exp, -110, 90},
                    Function{"exp2", std::exp2, -150, 130},
                    Function{"expm1", std::expm1, -20, 20},
                    Function{"expm1", std::expm1, -1e-3, 1e-3},
                    Function{"log", std::log, 1e-30, 10},
                    Function{"log", std::log, 0.9, 1.1},
                    Function{"log", std::log, 1, 1e30},
                    Function{"log2", std::log2, 1e-3, 10},
                    Function{"log1p", std::log1p, -0.9, 10},
                    Function{"log1p", std::log1p, -1e-3, 1e-3},
                    Function{"tanh", std::tanh, -12, 12},
                    Function{"tanh", std::tanh, -1e-2, 1e-2},
                    Function{"erf", std::erf, -5, 5},
                    Function{"erf", std::erf, -1e-2, 1e-2},
                    Function{"sin", std::sin, -3, 3},
                    Function{"sin", std::sin, -100, 100},
                    Function{"cos", std::cos, -1.5, 1.5},
                    Function{"cos", std::cos, -100, 100},
                    Function{"atan", std::atan, -20, 20},
                    Function{"sqrt", std::sqrt, 0, 100}),
    [](const testing::TestParamInfo<Function> &info) {
      return info.param.name + std::to_string(info.index);
    });

} // namespace
} // namespace nibble::test
