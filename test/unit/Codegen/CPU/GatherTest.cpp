//===- GatherTest.cpp - Rows of a table by index --------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"

#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

namespace nibble::test {
namespace {

constexpr int64_t rows = 40;

std::string makeModule(unsigned bits, int64_t width, int64_t group, bool zeros,
                       bool panels) {
  int64_t groups = group > 0 ? (width + group - 1) / group : 1;
  std::string codes =
      panels ? llvm::formatv("2x{0}", width * (bits > 6 ? 32 : 4 * bits)).str()
             : llvm::formatv("{0}x{1}", rows, (width * bits + 7) / 8).str();
  std::string shape = panels ? llvm::formatv("2x{0}x32", groups).str()
                             : llvm::formatv("{0}x{1}", rows, groups).str();
  std::string scales = "memref<" + shape + "xf16>";
  std::string zerosType = "memref<" + shape + "xi8>";
  return llvm::formatv(
      "func.func @f(%i: memref<?xi64>, %w: memref<{1}xi8>, %s: {2}, "
      "%z: {3}, %y: memref<?x{4}xf32>) attributes {{llvm.emit_c_interface} {{\n"
      "  nibble.gather %i weight(%w, %s{5}) outs(%y) {{rows = {0} : i64, "
      "width = {4} : i64, layers = [\"embed\"], scheme = #nibble.scheme<int{6},"
      " group = {7}, scale = f16, {8}packing = {10}>} : (memref<?xi64>, "
      "memref<{1}xi8>, {2}{9}, memref<?x{4}xf32>) -> ()\n  return\n}\n",
      rows, codes, scales, zerosType, width, zeros ? " zeros %z" : "", bits,
      group, zeros ? "zero = integer, " : "", zeros ? ", " + zerosType : "",
      panels ? "panel" : "rows");
}

/// Indices from the first and from the second panel.
const std::vector<int64_t> someIndices = {3, 0, 39, -1, -40, 33, 17};

void testExact(codegen::CpuTarget target, bool panels) {
  for (unsigned bits : {2, 3, 4, 5, 6, 8})
    for (bool zeros : {false, true})
      for (auto [width, group] :
           {std::pair<int64_t, int64_t>{64, 32}, {37, 24}, {50, -1}}) {
        SCOPED_TRACE(llvm::formatv("bits={0} zeros={1} width={2} group={3}",
                                   bits, zeros, width, group)
                         .str());
        auto module = JitModule::create(
            makeModule(bits, width, group, zeros, panels), target);
        ASSERT_TRUE(module);
        QuantizedWeight q(rows, width, bits, group, zeros, 7);
        std::vector<float> table = q.values();
        std::vector<uint8_t> codes = panels ? q.panels() : q.rows();
        std::vector<uint8_t> scales =
            convertScales(panels ? q.panelScales() : q.scales, "f16");
        std::vector<uint8_t> zeroPoints = panels ? q.panelZeros() : q.zeros;
        std::vector<int64_t> indices = someIndices;
        int64_t count = indices.size();
        std::vector<float> y(count * width);
        ASSERT_TRUE(module->call(
            "f", {MemRef(indices, {count}), MemRef(codes, {1, 1}),
                  MemRef(scales, {1, 1}), MemRef(zeroPoints, {1, 1}),
                  MemRef(y, {count, width})}));
        for (int64_t i = 0; i < count; ++i)
          for (int64_t j = 0; j < width; ++j)
            ASSERT_EQ(y[i * width + j],
                      table[(indices[i] + rows) % rows * width + j]);
      }
}

TEST(Gather, Exact) {
  for (codegen::CpuTarget target : targetsOfThisMachine())
    testExact(target, /*panels=*/false);
}

TEST(Gather, FromPanels) {
  for (codegen::CpuTarget target : targetsOfThisMachine())
    testExact(target, /*panels=*/true);
}

TEST(Gather, FloatFromPanels) {
  auto module = JitModule::create(
      "func.func @f(%i: memref<?xi64>, %w: memref<2x5x32xf32>, "
      "%y: memref<?x5xf32>) attributes {llvm.emit_c_interface} {\n"
      "  nibble.gather %i weight(%w) outs(%y) {rows = 40 : i64, width = 5 : "
      "i64} : (memref<?xi64>, memref<2x5x32xf32>, memref<?x5xf32>) -> ()\n"
      "  return\n}\n",
      targetsOfThisMachine()[0]);
  ASSERT_TRUE(module);
  std::vector<float> table(rows * 5);
  for (size_t i = 0; i < table.size(); ++i)
    table[i] = 0.5f * i;
  std::vector<float> packed = packFloats(table, rows, 5);
  std::vector<int64_t> indices = someIndices;
  int64_t count = indices.size();
  std::vector<float> y(count * 5);
  ASSERT_TRUE(
      module->call("f", {MemRef(indices, {count}), MemRef(packed, {2, 5, 32}),
                         MemRef(y, {count, 5})}));
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < 5; ++j)
      ASSERT_EQ(y[i * 5 + j], table[(indices[i] + rows) % rows * 5 + j]);
}

TEST(Gather, OutOfRange) {
  auto module = JitModule::create(makeModule(4, 32, 32, false, false),
                                  targetsOfThisMachine()[0]);
  ASSERT_TRUE(module);
  QuantizedWeight q(rows, 32, 4, 32, false, 7);
  std::vector<uint8_t> codes = q.rows();
  std::vector<uint8_t> scales = convertScales(q.scales, "f16");
  for (int64_t bad : {rows, -rows - 1}) {
    std::vector<int64_t> indices = {0, bad};
    std::vector<float> y(64);
    EXPECT_FALSE(
        module->call("f", {MemRef(indices, {2}), MemRef(codes, {1, 1}),
                           MemRef(scales, {1, 1}), MemRef(q.zeros, {1, 1}),
                           MemRef(y, {2, 32})}));
    EXPECT_EQ(module->failure, "layer \"embed\": an index is out of range for "
                               "a table of 40 rows");
  }
}

} // namespace
} // namespace nibble::test
