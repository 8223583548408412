//===- GPTQFactor.cpp - The order of columns and the factor ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VectorMath.h"
#include "nibble/Quantizer/DenseMath.h"
#include "nibble/Quantizer/GPTQ.h"
#include "nibble/Support/Parallel.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <numeric>

using namespace nibble;
using namespace nibble::quantizer;

GPTQFactor::GPTQFactor(llvm::ArrayRef<float> hessian, int64_t cols,
                       int64_t groupLength, const GPTQOptions &options,
                       unsigned threads)
    : options(options), cols(cols), groupLength(groupLength) {
  assert(hessian.size() == size_t(cols * cols) && "a square matrix");
  double sum = 0;
  dead.resize(cols);
  for (int64_t col = 0; col < cols; ++col) {
    double element = hessian[col * cols + col];
    dead[col] = element == 0;
    numDead += dead[col];
    sum += element;
  }
  meanDiagonal = sum / std::max<int64_t>(cols - numDead, 1);
  if (!std::isfinite(sum)) {
    problem = "its Hessian holds values that are not finite";
    return;
  }
  chooseOrder(hessian);
  if (!(meanDiagonal > 0)) {
    problem = numDead == cols ? "no input of the calibration data is not zero"
                              : "its Hessian is not positive definite";
    return;
  }

  std::vector<double> inverse(cols * cols);
  damp = options.dampPercent;
  while (!factor(hessian, damp, threads, inverse)) {
    if (options.dampIncrement == 0 || damp + options.dampIncrement >= 1) {
      problem = llvm::formatv("its Hessian is not positive definite, even with "
                              "{0} of the mean added to the diagonal",
                              llvm::format("%g", damp));
      return;
    }
    damp += options.dampIncrement;
  }
  invertUpper(inverse, cols, threads);
  pack(inverse, threads);
}

void GPTQFactor::chooseOrder(llvm::ArrayRef<float> hessian) {
  // Equal elements stay in order of the columns.
  auto isBefore = [&](int32_t a, int32_t b) {
    float first = hessian[a * cols + a], second = hessian[b * cols + b];
    return first != second ? first > second : a < b;
  };
  order.resize(cols);
  std::iota(order.begin(), order.end(), 0);
  int64_t numGroups = (cols + groupLength - 1) / groupLength;
  std::vector<int32_t> groups(numGroups);
  std::iota(groups.begin(), groups.end(), 0);
  if (options.activationOrder) {
    llvm::sort(order, isBefore);
  } else if (options.groupAware) {
    std::vector<int32_t> sorted = order;
    for (int64_t group = 0; group < numGroups; ++group)
      std::sort(sorted.begin() + group * groupLength,
                sorted.begin() + std::min(cols, (group + 1) * groupLength),
                isBefore);
    llvm::sort(groups, [&](int32_t a, int32_t b) {
      return isBefore(sorted[a * groupLength], sorted[b * groupLength]);
    });
    auto out = order.begin();
    for (int64_t group : groups)
      out = std::copy(
          sorted.begin() + group * groupLength,
          sorted.begin() + std::min(cols, (group + 1) * groupLength), out);
  }
  if (options.staticGroups)
    return;
  int64_t begin = 0;
  for (int64_t group : groups) {
    int64_t length = std::min(groupLength, cols - group * groupLength);
    segments.push_back({begin, begin + length, group});
    begin += length;
  }
}

std::vector<int32_t> GPTQFactor::getGroupIndex() const {
  if (!options.activationOrder || segments.size() < 2)
    return {};
  std::vector<int32_t> index(cols);
  for (const Segment &segment : segments)
    for (int64_t i = segment.begin; i < segment.end; ++i)
      index[order[i]] = segment.group;
  return index;
}

/// Writes to `inverse` the Cholesky factor of the damped Hessian with columns
/// in the opposite order: the inverse of such a factor is U, seen from behind.
bool GPTQFactor::factor(llvm::ArrayRef<float> hessian, double part,
                        unsigned threads, std::vector<double> &inverse) const {
  double scale = 1 / meanDiagonal;
  parallelFor(cols, 16, threads, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      int64_t from = order[cols - 1 - row];
      const float *source = hessian.data() + from * cols;
      double *out = inverse.data() + row * cols;
      for (int64_t col = row; col < cols; ++col)
        out[col] = source[order[cols - 1 - col]] * scale;
      out[row] = (dead[from] ? 1 : out[row]) + part;
    }
  });
  return factorCholesky(inverse, cols, threads);
}

void GPTQFactor::pack(llvm::ArrayRef<double> inverse, unsigned threads) {
  size_t diagonalSize = 0, panelsSize = 0;
  auto segment = segments.begin();
  for (int64_t begin = 0; begin < cols;) {
    int64_t end = std::min(cols, begin + options.blockSize);
    // A group that begins in a block ends in it too, or the block ends before
    // it: all of the group's columns have the same changes then.
    for (; segment != segments.end() && segment->end <= end; ++segment)
      ;
    if (segment != segments.end() && segment->begin > begin &&
        segment->begin < end)
      end = segment->begin;
    int64_t size = end - begin;
    blocks.push_back({begin, end, diagonalSize, panelsSize});
    diagonalSize += size * size;
    int64_t numPanels = (cols - end + packedRows - 1) / packedRows;
    panelsSize += size * numPanels * packedRows;
    begin = end;
  }

  auto getFactor = [&](int64_t row, int64_t col) {
    return static_cast<float>(
        inverse[(cols - 1 - col) * cols + (cols - 1 - row)]);
  };
  diagonal.resize(diagonalSize);
  panels.resize(panelsSize);
  inverseDiagonal.resize(cols);
  for (int64_t i = 0; i < cols; ++i) {
    int64_t behind = cols - 1 - i;
    inverseDiagonal[i] =
        static_cast<float>(1 / inverse[behind * cols + behind]);
  }
  parallelFor(blocks.size(), 1, threads, [&](int64_t first, int64_t last) {
    for (int64_t index = first; index < last; ++index) {
      const Block &block = blocks[index];
      int64_t size = block.end - block.begin;
      float *out = diagonal.data() + block.diagonal;
      for (int64_t row = block.begin; row < block.end; ++row)
        for (int64_t col = row; col < block.end; ++col)
          out[(row - block.begin) * size + col - block.begin] =
              getFactor(row, col);
      out = panels.data() + block.panels;
      for (int64_t col = block.end; col < cols; col += packedRows)
        for (int64_t row = block.begin; row < block.end; ++row)
          for (int64_t r = 0; r < packedRows; ++r)
            *out++ = col + r < cols ? getFactor(row, col + r) : 0.0f;
    }
  });
}
