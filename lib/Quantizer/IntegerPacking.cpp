//===- IntegerPacking.cpp - 8-bit weights of integer kernels --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/Packing.h"
#include "nibble/Support/Parallel.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace nibble;
using namespace nibble::quantizer;
using llvm::ArrayRef;
using llvm::MutableArrayRef;

static const char *rowOf(const IntegerWeightView &weight, int64_t row) {
  return weight.data + row * weight.rowStride;
}

void quantizer::packIntegerPanels(const IntegerWeightView &weight,
                                  int64_t quads, MutableArrayRef<uint8_t> out,
                                  unsigned threads) {
  int64_t panelsPerGroup = getNumPanels(weight.rows);
  int64_t quadBytes = 4 * panelRows;
  assert(out.size() ==
             size_t(weight.groups * panelsPerGroup * quads * quadBytes) &&
         "whole panels");
  // Signed codes: unsigned ones are moved by 128.
  uint8_t flip = weight.isUnsigned ? 0x80 : 0;
  parallelFor(
      weight.groups * panelsPerGroup, 1, threads, [&](int64_t panel, int64_t) {
        uint8_t *lines = out.data() + panel * quads * quadBytes;
        std::fill(lines, lines + quads * quadBytes, 0);
        int64_t group = panel / panelsPerGroup;
        int64_t first = panel % panelsPerGroup * panelRows;
        int64_t last = std::min(first + panelRows, weight.rows);
        for (int64_t row = first; row < last; ++row) {
          const char *codes = rowOf(weight, group * weight.rows + row);
          for (int64_t channel = 0; channel < weight.channels; ++channel) {
            const char *from = codes + channel * weight.channelStride;
            uint8_t *to = lines + channel / 4 * weight.taps * quadBytes +
                          (row - first) * 4 + channel % 4;
            for (int64_t tap = 0; tap < weight.taps; ++tap)
              to[tap * quadBytes] = uint8_t(from[tap]) ^ flip;
          }
        }
      });
}

void quantizer::sumIntegerRows(const IntegerWeightView &weight,
                               ArrayRef<uint8_t> zeros,
                               MutableArrayRef<int32_t> sums,
                               unsigned threads) {
  auto value = [&](uint8_t code) {
    return weight.isUnsigned ? int32_t(code) : int32_t(int8_t(code));
  };
  int64_t count = weight.channels * weight.taps;
  parallelFor(
      weight.groups * weight.rows, 64, threads,
      [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          uint32_t sum = 0;
          for (int64_t channel = 0; channel < weight.channels; ++channel) {
            const char *from =
                rowOf(weight, row) + channel * weight.channelStride;
            for (int64_t tap = 0; tap < weight.taps; ++tap)
              sum += uint32_t(value(from[tap]));
          }
          int32_t zero =
              zeros.empty() ? 0 : value(zeros[zeros.size() == 1 ? 0 : row]);
          sums[row] = int32_t(sum - uint32_t(count) * uint32_t(zero));
        }
      });
}
