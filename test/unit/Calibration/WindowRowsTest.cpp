//===- WindowRowsTest.cpp - Tests of windows as rows ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Calibration/WindowRows.h"
#include "gtest/gtest.h"
#include <map>

using namespace nibble::calibration;

namespace {
/// Rows of each group, one after the other.
std::map<int64_t, std::vector<float>> collect(llvm::ArrayRef<float> input,
                                              llvm::ArrayRef<int64_t> dims,
                                              const WindowShape &shape) {
  std::map<int64_t, std::vector<float>> rows;
  llvm::Error error =
      forEachWindow(input, dims, shape, [&](const ActivationRows &piece) {
        EXPECT_EQ(static_cast<int64_t>(piece.values.size()),
                  piece.rows * piece.columns);
        llvm::append_range(rows[piece.group], piece.values);
        return llvm::Error::success();
      });
  EXPECT_FALSE(bool(error));
  return rows;
}

std::vector<float> iota(size_t size) {
  std::vector<float> values(size);
  for (size_t i = 0; i != size; ++i)
    values[i] = i + 1;
  return values;
}

TEST(WindowRows, OneDimensionWithPadsAndStride) {
  WindowShape shape{{3}, {2}, {1}, {1, 1}};
  // Two images of one channel with four positions.
  EXPECT_EQ(collect(iota(8), {2, 1, 4}, shape)[0],
            (std::vector<float>{0, 1, 2, 2, 3, 4, 0, 5, 6, 6, 7, 8}));
}

TEST(WindowRows, ChannelsComeBeforeTaps) {
  WindowShape shape{{1, 2}, {1, 1}, {1, 2}, {0, 0, 0, 0}};
  // Two channels of 1 x 3: taps are two apart.
  EXPECT_EQ(collect(iota(6), {1, 2, 1, 3}, shape)[0],
            (std::vector<float>{1, 3, 4, 6}));
}

TEST(WindowRows, GroupsSeeTheirChannels) {
  WindowShape shape{{1}, {1}, {1}, {0, 0}, 2};
  auto rows = collect(iota(8), {1, 4, 2}, shape);
  EXPECT_EQ(rows[0], (std::vector<float>{1, 3, 2, 4}));
  EXPECT_EQ(rows[1], (std::vector<float>{5, 7, 6, 8}));
}

TEST(WindowRows, WindowsLargerThanTheInputGiveNothing) {
  WindowShape shape{{5}, {1}, {1}, {0, 0}};
  EXPECT_TRUE(collect(iota(4), {1, 1, 4}, shape).empty());
}

/// Pieces are cut at rows, and all rows come.
TEST(WindowRows, LargeInputsComeInPieces) {
  int64_t channels = 64, size = 3000;
  std::vector<float> input = iota(channels * size);
  WindowShape shape{{9}, {1}, {1}, {4, 4}};
  int64_t rows = 0, pieces = 0;
  llvm::Error error = forEachWindow(
      input, {1, channels, size}, shape, [&](const ActivationRows &piece) {
        for (int64_t r = 0; r != piece.rows; ++r)
          EXPECT_EQ(piece.values[r * piece.columns + 9 + 4],
                    input[size + rows + r]);
        EXPECT_LE(piece.values.size() * sizeof(float), 4u << 20);
        rows += piece.rows;
        ++pieces;
        return llvm::Error::success();
      });
  EXPECT_FALSE(bool(error));
  EXPECT_EQ(rows, size);
  EXPECT_GT(pieces, 1);
}

TEST(WindowRows, ErrorsEndIt) {
  WindowShape shape{{1}, {1}, {1}, {0, 0}};
  int calls = 0;
  llvm::Error error =
      forEachWindow(iota(4), {4, 1, 1}, shape, [&](const ActivationRows &) {
        ++calls;
        return llvm::createStringError("enough");
      });
  EXPECT_EQ(toString(std::move(error)), "enough");
  EXPECT_EQ(calls, 1);
}
} // namespace
