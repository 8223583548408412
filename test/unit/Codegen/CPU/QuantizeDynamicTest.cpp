//===- QuantizeDynamicTest.cpp - Codes of rows of floats ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"
#include "nibble/Quantizer/Activations.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace nibble;
using namespace nibble::test;

namespace {

void check(int64_t rows, int64_t k, codegen::CpuTarget target) {
  SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(k));
  auto jit = JitModule::create(
      "func.func @f(%x: memref<?x?xf32>, %c: memref<?x?xi8>, %s: memref<?xf32>,"
      " %z: memref<?xi8>) attributes {llvm.emit_c_interface} {\n"
      "  nibble.quantize_dynamic %x outs(%c, %s, %z) {row_rank = 1 : i64}"
      " : (memref<?x?xf32>, memref<?x?xi8>, memref<?xf32>, memref<?xi8>) -> ()"
      "\n  return\n}",
      target);
  ASSERT_TRUE(jit);
  std::vector<float> x = randomFloats(rows * k, 5);
  // Ties, and a row of zeros.
  for (int64_t i = 0; i < rows * k; i += 7)
    x[i] = 0.5f;
  std::fill(x.begin(), x.begin() + k, 0.0f);
  x.back() = -30.0f;
  std::vector<uint8_t> codes(rows * k, 0xee);
  std::vector<float> scales(rows, NAN);
  std::vector<uint8_t> zeros(rows, 0xee), wanted(k);
  ASSERT_TRUE(jit->call("f", {MemRef(x, {rows, k}), MemRef(codes, {rows, k}),
                              MemRef(scales, {rows}), MemRef(zeros, {rows})}));
  for (int64_t r = 0; r < rows; ++r) {
    llvm::ArrayRef<float> row(x.data() + r * k, k);
    auto range = quantizer::quantizeActivations(row, wanted);
    EXPECT_EQ(scales[r], range.scale);
    EXPECT_EQ(zeros[r], range.zero);
    for (int64_t i = 0; i < k; ++i)
      ASSERT_EQ(codes[r * k + i], wanted[i]) << "row " << r << ", column " << i;
  }
}

TEST(QuantizeDynamic, IsTheQuantizersDefinition) {
  for (codegen::CpuTarget target : targetsOfThisMachine()) {
    check(3, 130, target);
    check(70, 33, target);
    check(2, 1, target);
    // Long rows are cut in pieces.
    check(2, 100003, target);
  }
}

} // namespace
