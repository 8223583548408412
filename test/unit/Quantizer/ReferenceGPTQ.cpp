//===- ReferenceGPTQ.cpp - GPTQ as the paper has it, in doubles -----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceGPTQ.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace nibble::quantizer;

using Matrix = std::vector<std::vector<double>>;

static double getDamped(const std::vector<float> &hessian, int64_t cols,
                        int64_t i, int64_t j, double damp) {
  if (i != j)
    return hessian[i * cols + j];
  double sum = 0;
  for (int64_t k = 0; k < cols; ++k)
    sum += hessian[k * cols + k];
  return hessian[i * cols + i] + damp * sum / cols;
}

/// Gauss and Jordan, without pivots: the matrix is positive definite.
static Matrix invert(Matrix a) {
  int64_t n = a.size();
  for (int64_t k = 0; k < n; ++k) {
    double pivot = a[k][k];
    a[k][k] = 1;
    for (double &value : a[k])
      value /= pivot;
    for (int64_t i = 0; i < n; ++i) {
      if (i == k)
        continue;
      double factor = a[i][k];
      a[i][k] = 0;
      for (int64_t j = 0; j < n; ++j)
        a[i][j] -= factor * a[k][j];
    }
  }
  return a;
}

namespace {
struct Grid {
  double scale = 1, zero = 0;
  double maxCode;

  double getCode(double w) const {
    return std::clamp(std::nearbyint(w / scale) + zero, 0.0, maxCode);
  }
  double getValue(double code) const { return scale * (code - zero); }
};
} // namespace

static Grid getGrid(const QuantizationScheme &scheme, double min, double max) {
  Grid grid;
  grid.maxCode = std::pow(2.0, scheme.bits) - 1;
  double half = std::pow(2.0, scheme.bits - 1), largest = std::max(-min, max);
  if (scheme.symmetric) {
    grid.zero = half;
    bool isSigned = scheme.scaleRule == ScaleRule::SignedMax ||
                    (scheme.scaleRule == ScaleRule::MSE && scheme.bits <= 4);
    grid.scale = isSigned ? (max > -min ? -max : -min) / half
                 : scheme.scaleRule == ScaleRule::FullRange
                     ? 2 * largest / grid.maxCode
                     : largest / (half - 1);
  } else {
    grid.scale = (max - min) / grid.maxCode;
  }
  grid.scale = roundToScaleType(grid.scale, scheme.scaleType);
  if (!scheme.symmetric)
    grid.zero =
        std::clamp(std::nearbyint(-min / grid.scale), 0.0, grid.maxCode);
  return grid;
}

static Grid chooseGrid(const QuantizationScheme &scheme,
                       const std::vector<double> &values) {
  double min = 0, max = 0;
  for (double value : values) {
    min = std::min(min, value);
    max = std::max(max, value);
  }
  Grid best = getGrid(scheme, min, max);
  if (scheme.scaleRule != ScaleRule::MSE)
    return best;
  double least = INFINITY;
  for (int step = 0; step < 80; ++step) {
    Grid grid =
        getGrid(scheme, min * (1 - step / 100.0), max * (1 - step / 100.0));
    double sum = 0;
    for (double value : values)
      sum +=
          std::pow(std::fabs(value - grid.getValue(grid.getCode(value))), 2.4);
    if (sum < least) {
      least = sum;
      best = grid;
    }
  }
  return best;
}

QuantizedWeight test::runReferenceGPTQ(const WeightView &weight,
                                       const QuantizationScheme &scheme,
                                       const std::vector<float> &hessian,
                                       const GPTQOptions &options) {
  int64_t rows = weight.rows, cols = weight.cols;
  int64_t length = scheme.getGroupLength(cols);
  int64_t numGroups = scheme.getNumGroups(cols);
  auto getDiagonal = [&](int64_t col) { return hessian[col * cols + col]; };

  // Order of the columns, and the group of each.
  std::vector<int64_t> order(cols), group(cols);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t col = 0; col < cols; ++col)
    group[col] = col / length;
  bool byActivation = options.activationOrder;
  std::vector<float> largest(numGroups);
  for (int64_t col = 0; col < cols; ++col)
    largest[group[col]] = std::max(largest[group[col]], getDiagonal(col));
  if (byActivation || options.groupAware)
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      if (!byActivation && group[a] != group[b])
        return largest[group[a]] > largest[group[b]];
      return getDiagonal(a) > getDiagonal(b);
    });
  QuantizedWeight result(scheme, rows, cols);
  if (byActivation && !options.staticGroups) {
    for (int64_t i = 0; i < cols; ++i)
      group[order[i]] = i / length;
    if (numGroups > 1)
      result.groupIndex.assign(group.begin(), group.end());
  }

  Matrix damped(cols, std::vector<double>(cols));
  for (int64_t i = 0; i < cols; ++i)
    for (int64_t j = 0; j < cols; ++j)
      damped[i][j] =
          getDamped(hessian, cols, order[i], order[j], options.dampPercent);
  // Row i of `factors` is that of the inverse when the columns before are gone.
  Matrix inverse = invert(damped), factors(cols);
  for (int64_t i = 0; i < cols; ++i) {
    factors[i] = inverse[i];
    for (int64_t a = i + 1; a < cols; ++a)
      for (int64_t b = i + 1; b < cols; ++b)
        inverse[a][b] -= inverse[a][i] * inverse[i][b] / inverse[i][i];
  }

  for (int64_t row = 0; row < rows; ++row) {
    std::vector<double> w(cols);
    for (int64_t i = 0; i < cols; ++i)
      w[i] = weight.at(row, order[i]);
    std::vector<Grid> grids(numGroups);
    std::vector<bool> known(numGroups);
    auto choose = [&](int64_t g) {
      std::vector<double> members;
      for (int64_t i = 0; i < cols; ++i)
        if (group[order[i]] == g)
          members.push_back(w[i]);
      grids[g] = chooseGrid(scheme, members);
      known[g] = true;
      result.scales[row * numGroups + g] = grids[g].scale;
      if (!scheme.symmetric)
        result.zeros[row * numGroups + g] = grids[g].zero;
    };
    for (int64_t g = 0; options.staticGroups && g < numGroups; ++g)
      choose(g);
    for (int64_t i = 0; i < cols; ++i) {
      int64_t g = group[order[i]];
      if (!known[g])
        choose(g);
      double code = grids[g].getCode(w[i]);
      result.codes[row * cols + order[i]] = code;
      double error = (w[i] - grids[g].getValue(code)) / factors[i][i];
      for (int64_t j = i + 1; j < cols; ++j)
        w[j] -= error * factors[i][j];
    }
  }
  return result;
}

double test::getOutputError(const WeightView &weight,
                            const QuantizedWeight &result,
                            const std::vector<float> &hessian, double damp) {
  int64_t cols = weight.cols;
  double sum = 0;
  std::vector<double> error(cols);
  std::vector<float> values(cols);
  Matrix damped(cols, std::vector<double>(cols));
  for (int64_t i = 0; i < cols; ++i)
    for (int64_t j = 0; j < cols; ++j)
      damped[i][j] = getDamped(hessian, cols, i, j, damp);
  for (int64_t row = 0; row < weight.rows; ++row) {
    dequantizeRow(result, row, values.data());
    for (int64_t i = 0; i < cols; ++i)
      error[i] = double(weight.at(row, i)) - values[i];
    for (int64_t i = 0; i < cols; ++i)
      for (int64_t j = 0; j < cols; ++j)
        sum += error[i] * damped[i][j] * error[j];
  }
  return sum;
}
