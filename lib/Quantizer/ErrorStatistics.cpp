//===- ErrorStatistics.cpp - How far codes are from weights ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/ErrorStatistics.h"
#include "GroupTiles.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace nibble;
using namespace nibble::quantizer;

double ErrorStatistics::getSQNR() const {
  if (noise == 0)
    return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}

double ErrorStatistics::getCosine() const {
  if (signal == 0 && quantized == 0)
    return 1;
  if (signal == 0 || quantized == 0)
    return 0;
  return product / std::sqrt(signal * quantized);
}

ErrorStatistics &ErrorStatistics::operator+=(const ErrorStatistics &other) {
  signal += other.signal;
  noise += other.noise;
  quantized += other.quantized;
  product += other.product;
  maxAbsError = std::max(maxAbsError, other.maxAbsError);
  count += other.count;
  return *this;
}

/// Statistics of one group. Four lanes of doubles in a fixed order: fast, and
/// the same on every machine.
static ErrorStatistics compareGroup(const float *values, const float *others,
                                    int64_t count) {
  constexpr int64_t lanes = 4;
  double signal[lanes] = {}, noise[lanes] = {}, quantized[lanes] = {},
         product[lanes] = {}, largest[lanes] = {};
  auto add = [&](int64_t lane, double w, double q) {
    double error = w - q;
    signal[lane] += w * w;
    noise[lane] += error * error;
    quantized[lane] += q * q;
    product[lane] += w * q;
    double magnitude = std::fabs(error);
    largest[lane] = largest[lane] > magnitude ? largest[lane] : magnitude;
  };
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      add(lane, values[i + lane], others[i + lane]);
  for (; i < count; ++i)
    add(i % lanes, values[i], others[i]);

  ErrorStatistics result;
  for (int64_t lane = 0; lane < lanes; ++lane)
    result += {signal[lane],  noise[lane],   quantized[lane],
               product[lane], largest[lane], 0};
  result.count = count;
  return result;
}

ErrorStatistics
quantizer::computeErrorStatistics(const WeightView &weight,
                                  const QuantizedWeight &quantized,
                                  unsigned threads) {
  const QuantizationScheme &scheme = quantized.scheme;
  int64_t cols = weight.cols;
  // A row is in one piece where the columns of a group are apart.
  bool wholeRows = !quantized.groupIndex.empty();
  int64_t length = wholeRows ? cols : scheme.getGroupLength(cols);
  // Sums per tile, added in order afterwards.
  std::vector<ErrorStatistics> tiles((weight.rows + groupTileRows - 1) /
                                     groupTileRows);
  forEachGroup(weight, length, threads,
               [&](int64_t row, int64_t group, llvm::ArrayRef<float> values) {
                 llvm::SmallVector<float, 256> others(values.size());
                 if (wholeRows)
                   dequantizeRow(quantized, row, others.data());
                 else
                   dequantizeGroup(quantized, row, group, others.data());
                 tiles[row / groupTileRows] +=
                     compareGroup(values.data(), others.data(), values.size());
                 return true;
               });
  ErrorStatistics total;
  for (const ErrorStatistics &tile : tiles)
    total += tile;
  return total;
}
