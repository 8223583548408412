//===- ConvTest.cpp - Convolutions against float64 ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <gtest/gtest.h>

namespace nibble::test {
namespace {

using Ints = std::vector<int64_t>;

struct Case {
  Ints weight; // [M, C/group, k...]
  int64_t group;
  Ints strides, dilations, pads;
  unsigned bits; // 32: float
  int64_t scaleGroup;
  bool zeros;
  std::string activation;
  bool bias, residual;
};

std::string join(const Ints &values, const char *separator = ", ") {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleave(values, os, separator);
  return text;
}

int64_t product(const Ints &values) { return llvm::product_of(values); }

int64_t rowLength(const Case &c) { return product(c.weight) / c.weight[0]; }

std::string makeModule(const Case &c) {
  int64_t rank = c.weight.size() - 2, rows = c.weight[0];
  int64_t panels = (rows + 31) / 32, k = rowLength(c);
  std::string weight, scales, zeros, scheme, spatial;
  for (int64_t i = 0; i < rank; ++i)
    spatial += "x?";
  if (c.bits == 32) {
    weight = c.group > 1 ? "memref<" + join(c.weight, "x") + "xf32>"
                         : llvm::formatv("memref<{0}x{1}x32xf32>", panels, k);
    scheme = c.group > 1 ? "" : ", packed_float";
  } else {
    int64_t groups =
        c.scaleGroup > 0 ? (k + c.scaleGroup - 1) / c.scaleGroup : 1;
    bool panel = c.group == 1;
    int64_t bytes =
        panel ? k * (c.bits > 6 ? 32 : 4 * c.bits) : (k * c.bits + 7) / 8;
    std::string lanes = panel ? "x32" : "";
    int64_t outer = panel ? panels : rows;
    weight = llvm::formatv("memref<{0}x{1}xi8>", outer, bytes);
    scales = llvm::formatv("memref<{0}x{1}{2}xf16>", outer, groups, lanes);
    if (c.zeros)
      zeros = llvm::formatv("memref<{0}x{1}{2}xi8>", outer, groups, lanes);
    scheme = llvm::formatv(
        ", scheme = #nibble.scheme<int{0}, group = {1}, scale = f16, "
        "{2}packing = {3}>",
        c.bits, c.scaleGroup > 0 ? c.scaleGroup : -1,
        c.zeros ? "zero = integer, " : "", panel ? "panel" : "rows");
  }
  std::string input =
      llvm::formatv("memref<?x{0}{1}xf32>", c.weight[1] * c.group, spatial);
  std::string output = llvm::formatv("memref<?x{0}{1}xf32>", rows, spatial);
  std::string bias = llvm::formatv("memref<{0}xf32>", rows);

  FusedOpText text(input, weight, scales, zeros, c.bias ? bias : "",
                   c.residual ? output : "", output);
  return llvm::formatv(
      "func.func @f({0}) attributes {{llvm.emit_c_interface} {{\n"
      "  nibble.conv {1} {{weight_shape = array<i64: {2}>, strides = "
      "array<i64: {3}>, dilations = array<i64: {4}>, pads = array<i64: {5}>, "
      "group = {6} : i64, activation = #nibble.activation<{7}>, layers = "
      "[\"conv\"]{8}} : ({9}) -> ()\n  return\n}\n",
      text.arguments, text.operands, join(c.weight), join(c.strides),
      join(c.dilations), join(c.pads), c.group, c.activation, scheme,
      text.types);
}

/// Sizes with a depth and a height of one where there are none.
Ints expand(const Ints &values, int64_t rank, int64_t fill) {
  Ints result(3 - rank, fill);
  result.insert(result.end(), values.begin(), values.begin() + rank);
  return result;
}

void check(const Case &c, Ints size, int64_t batch, codegen::CpuTarget target) {
  SCOPED_TRACE(llvm::formatv("weight={0} group={1} strides={2} dilations={3} "
                             "pads={4} bits={5} size={6} avx512={7}",
                             join(c.weight), c.group, join(c.strides),
                             join(c.dilations), join(c.pads), c.bits,
                             join(size), target.avx512)
                   .str());
  auto module = JitModule::create(makeModule(c), target);
  ASSERT_TRUE(module);
  int64_t rank = size.size(), rows = c.weight[0], length = rowLength(c);
  int64_t channels = c.weight[1] * c.group;
  Ints kernel = expand(Ints(c.weight.begin() + 2, c.weight.end()), rank, 1);
  Ints strides = expand(c.strides, rank, 1);
  Ints dilations = expand(c.dilations, rank, 1);
  Ints begins = expand(c.pads, rank, 0);
  Ints ends = expand(Ints(c.pads.begin() + rank, c.pads.end()), rank, 0);
  Ints in = expand(size, rank, 1), out;
  for (int i = 0; i < 3; ++i)
    out.push_back(
        (in[i] + begins[i] + ends[i] - dilations[i] * (kernel[i] - 1) - 1) /
            strides[i] +
        1);

  std::vector<float> weight, packed;
  std::vector<uint8_t> codes, scales, zeros;
  if (c.bits == 32) {
    weight = randomFloats(rows * length, 1);
    packed = c.group > 1 ? weight : packFloats(weight, rows, length);
  } else {
    QuantizedWeight q(rows, length, c.bits, c.scaleGroup, c.zeros, 1);
    weight = q.values();
    codes = c.group > 1 ? q.rows() : q.panels();
    scales = convertScales(c.group > 1 ? q.scales : q.panelScales(), "f16");
    zeros = c.group > 1 ? q.zeros : q.panelZeros();
  }
  std::vector<float> x = randomFloats(batch * channels * product(in), 2);
  std::vector<float> b = randomFloats(rows, 3);
  int64_t total = batch * rows * product(out);
  std::vector<float> r = randomFloats(total, 4), y(total + 64, 1234.5f);
  auto shape = [&](int64_t planes, const Ints &spatial) {
    Ints result = {batch, planes};
    result.insert(result.end(), spatial.end() - rank, spatial.end());
    return result;
  };
  std::vector<MemRef> arguments = {MemRef(x, shape(channels, in))};
  if (c.bits == 32)
    arguments.push_back(c.group > 1 ? MemRef(packed, c.weight)
                                    : MemRef(packed, {1, 1, 32}));
  else {
    Ints scaleShape = c.group > 1 ? Ints{1, 1} : Ints{1, 1, 32};
    arguments.push_back(MemRef(codes, {1, 1}));
    arguments.push_back(MemRef(scales, scaleShape));
    if (c.zeros)
      arguments.push_back(MemRef(zeros, scaleShape));
  }
  if (c.bias)
    arguments.push_back(MemRef(b, {rows}));
  if (c.residual)
    arguments.push_back(MemRef(r, shape(rows, out)));
  arguments.push_back(MemRef(y, shape(rows, out)));
  ASSERT_TRUE(module->call("f", arguments));

  int64_t inPlane = product(in), outPlane = product(out);
  for (int64_t at = 0; at < total; ++at) {
    int64_t pixel = at % outPlane, row = at / outPlane % rows;
    int64_t image = at / outPlane / rows;
    int64_t group = row / (rows / c.group);
    int64_t position[3] = {pixel / (out[1] * out[2]), pixel / out[2] % out[1],
                           pixel % out[2]};
    double sum = 0, magnitude = 1;
    for (int64_t k = 0; k < length; ++k) {
      int64_t volume = product(kernel);
      int64_t tap[3] = {k % volume / (kernel[1] * kernel[2]),
                        k / kernel[2] % kernel[1], k % kernel[2]};
      int64_t source = 0;
      bool inside = true;
      for (int i = 0; i < 3; ++i) {
        int64_t p =
            position[i] * strides[i] + tap[i] * dilations[i] - begins[i];
        inside &= p >= 0 && p < in[i];
        source = source * in[i] + p;
      }
      if (!inside)
        continue;
      int64_t channel = group * c.weight[1] + k / volume;
      double term = double(x[(image * channels + channel) * inPlane + source]) *
                    weight[row * length + k];
      sum += term;
      magnitude += std::fabs(term);
    }
    sum += c.bias ? b[row] : 0;
    sum += c.residual ? r[at] : 0;
    ASSERT_NEAR(y[at], applyActivation(c.activation, sum), magnitude * 1e-6)
        << "image " << image << ", channel " << row << ", position " << pixel;
  }
  for (int64_t at = total; at < total + 64; ++at)
    ASSERT_EQ(y[at], 1234.5f);
}

TEST(Conv, TwoDimensions) {
  for (codegen::CpuTarget t : targetsOfThisMachine()) {
    check({{16, 3, 3, 3},
           1,
           {1, 1},
           {1, 1},
           {1, 1, 1, 1},
           32,
           0,
           false,
           "relu",
           true,
           false},
          {32, 32}, 2, t);
    check({{40, 20, 3, 3},
           1,
           {2, 2},
           {1, 1},
           {1, 1, 1, 1},
           32,
           0,
           false,
           "none",
           true,
           true},
          {17, 15}, 1, t);
    check({{70, 64, 1, 1},
           1,
           {1, 1},
           {1, 1},
           {0, 0, 0, 0},
           32,
           0,
           false,
           "silu",
           false,
           false},
          {7, 7}, 3, t);
    check({{33, 5, 5, 3},
           1,
           {3, 1},
           {1, 2},
           {2, 0, 1, 3},
           32,
           0,
           false,
           "relu6",
           true,
           false},
          {20, 11}, 1, t);
    check({{8, 4, 3, 3},
           1,
           {1, 3},
           {2, 1},
           {1, 1, 1, 1},
           32,
           0,
           false,
           "none",
           false,
           false},
          {12, 40}, 1, t);
    check({{9, 2, 20, 20},
           1,
           {4, 4},
           {1, 1},
           {0, 0, 0, 0},
           32,
           0,
           false,
           "none",
           false,
           false},
          {40, 40}, 1, t);
  }
}

TEST(Conv, Quantized) {
  for (codegen::CpuTarget t : targetsOfThisMachine())
    for (unsigned bits : {2, 3, 4, 5, 6, 8})
      for (bool zeros : {false, true})
        check({{34, 48, 3, 3},
               1,
               {1, 1},
               {1, 1},
               {1, 1, 1, 1},
               bits,
               32,
               zeros,
               "relu",
               true,
               true},
              {9, 8}, 1, t);
}

TEST(Conv, FewPositions) {
  for (codegen::CpuTarget t : targetsOfThisMachine()) {
    check({{33, 20, 3, 3},
           1,
           {2, 2},
           {1, 1},
           {1, 1, 1, 1},
           32,
           0,
           false,
           "silu",
           true,
           true},
          {5, 6}, 2, t);
    // A filter of more than one vector, as in a Fourier transform.
    check({{70, 3, 37}, 1, {16}, {1}, {9, 3}, 4, 32, true, "relu", true, false},
          {90}, 1, t);
    check({{8, 40, 5}, 1, {1}, {2}, {3, 1}, 8, -1, false, "none", false, true},
          {9}, 3, t);
    // More neighbourhoods than fit on the stack.
    check({{4, 300, 3, 3},
           1,
           {1, 1},
           {1, 1},
           {1, 1, 1, 1},
           32,
           0,
           false,
           "relu",
           true,
           false},
          {4, 4}, 1, t);
  }
}

TEST(Conv, OtherRanks) {
  for (codegen::CpuTarget t : targetsOfThisMachine()) {
    check({{12, 6, 5}, 1, {1}, {1}, {2, 2}, 4, -1, false, "relu", true, false},
          {50}, 2, t);
    check({{12, 6, 4}, 1, {2}, {3}, {0, 5}, 32, 0, false, "none", true, false},
          {37}, 2, t);
    check({{6, 3, 2, 3, 3},
           1,
           {1, 1, 2},
           {1, 1, 1},
           {1, 1, 1, 0, 1, 1},
           32,
           0,
           false,
           "none",
           true,
           false},
          {4, 5, 9}, 1, t);
  }
}

TEST(Conv, Grouped) {
  for (codegen::CpuTarget t : targetsOfThisMachine()) {
    check({{24, 1, 3, 3},
           24,
           {1, 1},
           {1, 1},
           {1, 1, 1, 1},
           32,
           0,
           false,
           "relu6",
           true,
           false},
          {10, 19}, 2, t);
    check({{24, 1, 5, 5},
           24,
           {2, 2},
           {1, 1},
           {2, 2, 2, 2},
           4,
           -1,
           false,
           "hard_swish",
           true,
           false},
          {14, 33}, 1, t);
    check({{12, 8, 3, 3},
           2,
           {1, 1},
           {1, 1},
           {1, 1, 1, 1},
           3,
           16,
           true,
           "none",
           true,
           true},
          {6, 5}, 1, t);
    check({{12, 2, 3}, 6, {1}, {1}, {1, 1}, 8, 32, true, "none", false, false},
          {20}, 2, t);
  }
}

} // namespace
} // namespace nibble::test
