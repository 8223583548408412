//===- IntegerConvTest.cpp - Convolution of bytes -------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IntegerTest.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace nibble;
using namespace nibble::test;

namespace {

struct Case {
  /// Input channels, output channels, groups.
  int64_t channels, outputs, groups;
  std::vector<int64_t> size, kernel, strides, dilations, pads;
  bool unsignedInput = true, unsignedWeight = false;
  std::string inputZero = "one", weightZero = "none", inputScale = "none",
              bias = "none", activation = "none", result = "i32";
  bool residual = false, constantWeight = true;
  int64_t batch = 2;
};

std::string join(const std::vector<int64_t> &values) {
  std::string text;
  for (int64_t value : values)
    text += (text.empty() ? "" : ", ") + std::to_string(value);
  return text;
}

std::string times(const std::vector<int64_t> &values) {
  std::string text;
  for (int64_t value : values)
    text += (text.empty() ? "" : "x") + std::to_string(value);
  return text;
}

void check(const Case &c, codegen::CpuTarget target) {
  int64_t batch = c.batch;
  int64_t rank = c.size.size();
  SCOPED_TRACE(llvm::formatv(
                   "{0}->{1} groups {2}, {3}, kernel {4} s {5} d {6} p {7} "
                   "u={8}{9} xz={10} wz={11} {12} -> {13} const={14}",
                   c.channels, c.outputs, c.groups, times(c.size),
                   times(c.kernel), join(c.strides), join(c.dilations),
                   join(c.pads), c.unsignedInput, c.unsignedWeight, c.inputZero,
                   c.weightZero, c.activation, c.result, c.constantWeight)
                   .str());
  SCOPED_TRACE(describe(target));
  std::vector<int64_t> inShape = {batch, c.channels};
  std::vector<int64_t> outShape = {batch, c.outputs};
  std::vector<int64_t> weightShape = {c.outputs, c.channels / c.groups};
  int64_t inPlane = 1, outPlane = 1, taps = 1;
  std::vector<int64_t> out;
  for (int64_t i = 0; i < rank; ++i) {
    int64_t reach = c.dilations[i] * (c.kernel[i] - 1) + 1;
    out.push_back(
        (c.size[i] + c.pads[i] + c.pads[rank + i] - reach) / c.strides[i] + 1);
    inShape.push_back(c.size[i]);
    outShape.push_back(out[i]);
    weightShape.push_back(c.kernel[i]);
    inPlane *= c.size[i];
    outPlane *= out[i];
    taps *= c.kernel[i];
  }
  IntegerProduct p;
  p.unsignedInput = c.unsignedInput;
  p.unsignedWeight = c.unsignedWeight;
  p.activation = c.activation;
  p.result = c.result;
  int64_t groupIn = c.channels / c.groups, groupOut = c.outputs / c.groups;
  std::vector<uint8_t> input = randomCodes(batch * c.channels * inPlane, 1);
  std::vector<uint8_t> weight = randomCodes(c.outputs * groupIn * taps, 2);
  // The compiler does not know the number of samples.
  auto dynamic = [&](const std::vector<int64_t> &shape) {
    return "?x" + times({shape.begin() + 1, shape.end()});
  };
  p.addInput(input, dynamic(inShape), inShape);
  p.addWeight(weight, weightShape, c.constantWeight);
  p.addStages(c.inputZero, c.weightZero, c.inputScale, "many", c.bias,
              c.residual, "?", batch, {batch}, c.outputs, dynamic(outShape),
              batch * c.outputs * outPlane);
  std::string attributes = llvm::formatv(
      "weight_shape = array<i64: {0}>, strides = array<i64: {1}>, dilations = "
      "array<i64: {2}>, pads = array<i64: {3}>, group = {4} : i64",
      join(weightShape), join(c.strides), join(c.dilations), join(c.pads),
      c.groups);
  if (!p.run("conv_integer", attributes, dynamic(outShape), outShape, target))
    return;

  auto code = [](uint8_t byte, bool isUnsigned) {
    return isUnsigned ? int64_t(byte) : int64_t(int8_t(byte));
  };
  for (int64_t at = 0; at < batch * c.outputs * outPlane; ++at) {
    int64_t position = at % outPlane, m = at / outPlane % c.outputs;
    int64_t image = at / outPlane / c.outputs;
    int64_t sum = 0;
    for (int64_t tap = 0; tap < taps; ++tap) {
      int64_t from = 0, restTap = tap, rest = position, stride = 1;
      bool inside = true;
      for (int64_t i = rank - 1; i >= 0; --i) {
        int64_t x = rest % out[i] * c.strides[i] - c.pads[i] +
                    restTap % c.kernel[i] * c.dilations[i];
        rest /= out[i];
        restTap /= c.kernel[i];
        inside &= x >= 0 && x < c.size[i];
        from += x * stride;
        stride *= c.size[i];
      }
      if (!inside)
        continue;
      for (int64_t k = 0; k < groupIn; ++k) {
        int64_t plane = image * c.channels + m / groupOut * groupIn + k;
        sum += (code(input[plane * inPlane + from], c.unsignedInput) -
                p.xz(image)) *
               (code(weight[(m * groupIn + k) * taps + tap], c.unsignedWeight) -
                p.wz(m));
      }
    }
    if (!p.expect(sum, image, m, at))
      return;
  }
}

void check(const Case &c) {
  static size_t turn = 0;
  std::vector<codegen::CpuTarget> targets = targetsOfThisMachine(true);
  check(c, targets.back());
  if (targets.size() > 1)
    check(c, targets[turn++ % (targets.size() - 1)]);
}

TEST(IntegerConv, Windows) {
  check({3, 40, 1, {9, 21}, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}});
  // Two rows of up to eight outputs in a vector.
  check({9, 20, 1, {7, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}});
  check({5,
         17,
         1,
         {9, 14},
         {3, 3},
         {2, 2},
         {1, 1},
         {1, 1, 1, 1},
         false,
         true,
         "many",
         "many"});
  check({4, 9, 1, {4, 20}, {1, 3}, {1, 3}, {1, 1}, {0, 0, 0, 0}});
  check({16, 33, 1, {7, 7}, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}});
  check({18, 9, 1, {12, 35}, {3, 3}, {2, 2}, {1, 1}, {1, 0, 0, 1}});
  check({5, 8, 1, {11, 40}, {2, 5}, {1, 3}, {2, 1}, {0, 2, 3, 2}});
  check({4, 12, 1, {6, 19}, {1, 9}, {1, 1}, {1, 2}, {0, 8, 0, 8}});
  check({6, 7, 1, {50}, {4}, {2}, {1}, {3, 1}});
  check({4,
         5,
         1,
         {4, 5, 18},
         {2, 3, 3},
         {1, 2, 1},
         {1, 1, 1},
         {1, 0, 1, 0, 2, 1}});
}

TEST(IntegerConv, Groups) {
  for (int64_t stride : {1, 2, 3}) {
    check(
        {10, 10, 10, {9, 37}, {3, 3}, {stride, stride}, {1, 1}, {1, 1, 1, 1}});
    check({6, 12, 6, {8, 18}, {5, 5}, {1, stride}, {1, 1}, {2, 2, 2, 2}});
  }
  check({6, 9, 3, {8, 18}, {3, 3}, {1, 1}, {1, 2}, {1, 2, 1, 2}});
  check({24, 30, 2, {6, 17}, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}});
}

TEST(IntegerConv, SignsAndZeroPoints) {
  for (bool unsignedInput : {false, true})
    for (bool unsignedWeight : {false, true})
      for (std::string zero : {"none", "one", "many"})
        for (int64_t groups : {1, 6})
          check({6,
                 18,
                 groups,
                 {5, 20},
                 {3, 2},
                 {1, 1},
                 {1, 1},
                 {1, 1, 1, 0},
                 unsignedInput,
                 unsignedWeight,
                 zero,
                 zero == "one"    ? "many"
                 : zero == "many" ? "none"
                                  : "one"});
}

TEST(IntegerConv, Results) {
  const char *activations[] = {"none", "relu", "silu", "relu6"};
  int i = 0;
  for (std::string result : {"f32", "s8", "u8"})
    for (std::string activation : activations)
      for (int64_t groups : {1, 8}) {
        ++i;
        check({8,
               24,
               groups,
               {6, 19},
               {3, 3},
               {1, 1},
               {1, 1},
               {1, 1, 1, 1},
               true,
               false,
               i % 3 == 0 ? "many" : "one",
               "none",
               i % 2 ? "many" : "one",
               i % 3 == 1 ? "f32" : "i32",
               activation,
               result,
               i % 4 == 3});
      }
}

TEST(IntegerConv, WeightsOfTheRun) {
  check({6,
         10,
         1,
         {7, 18},
         {3, 3},
         {1, 1},
         {1, 1},
         {1, 1, 1, 1},
         true,
         true,
         "one",
         "one",
         "none",
         "none",
         "none",
         "i32",
         false,
         false});
  check({8,
         8,
         8,
         {7, 18},
         {3, 3},
         {2, 2},
         {1, 1},
         {1, 1, 1, 1},
         false,
         false,
         "none",
         "none",
         "many",
         "none",
         "relu",
         "f32",
         false,
         false});
}

TEST(IntegerConv, NoSamples) {
  for (int64_t groups : {1, 4}) {
    Case c = {4, 8, groups, {5, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
    c.batch = 0;
    check(c);
  }
}

TEST(IntegerConv, FourDimensions) {
  check({2,
         3,
         1,
         {3, 2, 3, 4},
         {1, 2, 1, 2},
         {1, 1, 1, 1},
         {1, 1, 1, 1},
         {0, 1, 0, 0, 0, 0, 0, 1}});
}

} // namespace
