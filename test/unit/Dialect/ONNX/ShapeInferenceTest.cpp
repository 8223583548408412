//===- ShapeInferenceTest.cpp - Symbolic dimensions and windows -----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "nibble/Dialect/ONNX/IR/Window.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace nibble::onnx;

namespace {

TEST(DimTest, UnknownEqualsNothing) {
  EXPECT_FALSE(Dim() == Dim());
  EXPECT_FALSE(Dim() == Dim(3));
  EXPECT_EQ(Dim().toStatic(), ShapedType::kDynamic);
}

TEST(DimTest, ProductsOfSymbolsDivideExactly) {
  Dim n = Dim::symbol(0), m = Dim::symbol(1);
  EXPECT_TRUE((n * m * Dim(12)).exactDiv(m * Dim(4)) == n * Dim(3));
  EXPECT_TRUE((m * n) == (n * m));
  EXPECT_FALSE((n * Dim(6)).exactDiv(Dim(4)).isKnown());
  EXPECT_FALSE(n.exactDiv(m).isKnown());
  EXPECT_FALSE(n.exactDiv(Dim(0)).isKnown());
}

TEST(DimTest, ZeroTimesUnknownIsZero) {
  EXPECT_TRUE((Dim() * Dim(0)).isConstant(0));
  EXPECT_FALSE((Dim() * Dim(2)).isKnown());
}

TEST(DimTest, SumsOfDifferentSymbolsAreUnknown) {
  Dim n = Dim::symbol(0), m = Dim::symbol(1);
  EXPECT_TRUE(n + n == n * Dim(2));
  EXPECT_TRUE((n - n).isConstant(0));
  EXPECT_FALSE((n + m).isKnown());
  EXPECT_FALSE((n + Dim(1)).isKnown());
}

TEST(DimTest, OverflowIsUnknown) {
  Dim large(int64_t(1) << 62);
  EXPECT_FALSE((large * Dim(4)).isKnown());
  EXPECT_FALSE((large + large).isKnown());
}

TEST(BroadcastTest, FollowsNumPy) {
  Dim n = Dim::symbol(0), m = Dim::symbol(1);
  Shape result;
  ASSERT_TRUE(broadcastShapes({Dim(4), Dim(1)}, {n, Dim(1), Dim(3)}, result));
  ASSERT_EQ(result.size(), 3u);
  EXPECT_TRUE(result[0] == n);
  EXPECT_TRUE(result[1].isConstant(4));
  EXPECT_TRUE(result[2].isConstant(3));
  EXPECT_FALSE(broadcastShapes({Dim(2)}, {Dim(3)}, result));
  // Either may be 1: only a constant above 1 decides.
  ASSERT_TRUE(broadcastShapes({n}, {m}, result));
  EXPECT_FALSE(result[0].isKnown());
  ASSERT_TRUE(broadcastShapes({n}, {Dim(7)}, result));
  EXPECT_TRUE(result[0].isConstant(7));
}

WindowAttrs makeWindow(int64_t kernel, int64_t stride, int64_t low,
                       int64_t high) {
  WindowAttrs window;
  window.kernel = {kernel};
  window.strides = {stride};
  window.dilations = {1};
  window.pads = {low, high};
  return window;
}

TEST(WindowTest, CountsWindows) {
  WindowAttrs window = makeWindow(3, 2, 1, 1);
  EXPECT_TRUE(window.getWindowCount(0, Dim(8)).isConstant(4));
  window.ceilMode = true;
  EXPECT_TRUE(window.getWindowCount(0, Dim(8)).isConstant(5));
  EXPECT_TRUE(makeWindow(9, 1, 0, 0).getWindowCount(0, Dim(8)).isConstant(0));
}

TEST(WindowTest, PaddingThatKeepsTheSizeKeepsASymbol) {
  Dim n = Dim::symbol(0);
  EXPECT_TRUE(makeWindow(3, 1, 1, 1).getWindowCount(0, n) == n);
  EXPECT_FALSE(makeWindow(3, 1, 0, 0).getWindowCount(0, n).isKnown());
}

TEST(WindowTest, SamePaddingPutsTheOddElementAtTheNamedEnd) {
  WindowAttrs window = makeWindow(4, 1, 0, 0);
  window.autoPad = "SAME_UPPER";
  window.resolveSamePadding(0, 10);
  EXPECT_EQ(window.pads[0], 1);
  EXPECT_EQ(window.pads[1], 2);
  window.autoPad = "SAME_LOWER";
  window.resolveSamePadding(0, 10);
  EXPECT_EQ(window.pads[0], 2);
  EXPECT_EQ(window.pads[1], 1);
}

} // namespace
