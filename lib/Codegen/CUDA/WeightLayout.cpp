//===- WeightLayout.cpp - Weights in the order of CUDA kernels
//--------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CUDA/WeightLayout.h"
#include <algorithm>
#include <cassert>
#include <cstring>

using namespace nibble::codegen::cuda;
using llvm::ArrayRef;
using llvm::MutableArrayRef;

WeightLayout::Slot WeightLayout::getSlot(int64_t j, int64_t kk, int64_t r,
                                         unsigned planeBits) const {
  if (fragment == Fragment::Byte) {
    int64_t quad = 4 * kk + j, perWord = 8 / planeBits;
    return {quad / perWord,
            unsigned(8 * r) + planeBits * unsigned(quad % perWord)};
  }
  int64_t pair = 8 * kk + 2 * j + (r >> 1), perWord = 16 / planeBits;
  return {pair / perWord,
          unsigned(16 * (r & 1)) + planeBits * unsigned(pair % perWord)};
}

int64_t WeightLayout::getWordOffset(int64_t lane, int64_t word,
                                    unsigned planeBits) {
  int64_t perLoad = std::min<int64_t>(4, wordsPerLane(planeBits));
  return (word / perLoad * warpSize + lane) * perLoad * 4 + word % perLoad * 4;
}

WeightLayout::Position WeightLayout::getPosition(int64_t channel, int64_t step,
                                                 unsigned planeBits,
                                                 int64_t plane) const {
  int64_t g = channel % panelWidth / 4, j = channel % 4;
  int64_t inTile = step % tileDepth, kk = inTile / 16, inStep = inTile % 16;
  int64_t t, r;
  if (fragment == Fragment::Byte) {
    t = inStep / 4;
    r = inStep % 4;
  } else {
    t = inStep % 8 / 2;
    r = inStep % 2 + inStep / 8 * 2;
  }
  Slot slot = getSlot(j, kk, r, planeBits);
  int64_t tile = channel / panelWidth * numTiles() + step / tileDepth;
  return {tile * tileBytes() + plane +
              getWordOffset(4 * g + t, slot.word, planeBits) + slot.bit / 8,
          slot.bit % 8};
}

WeightLayout::Position WeightLayout::getLowPosition(int64_t channel,
                                                    int64_t step) const {
  return getPosition(channel, step, lowBits(), 0);
}

WeightLayout::Position WeightLayout::getHighPosition(int64_t channel,
                                                     int64_t step) const {
  return getPosition(channel, step, 1, highPlane());
}

void WeightLayout::pack(ArrayRef<uint8_t> codes, uint8_t fill,
                        MutableArrayRef<uint8_t> out) const {
  assert(codes.size() == size_t(n * k) && out.size() == size_t(codeBytes()));
  std::fill(out.begin(), out.end(), 0);
  uint8_t lowMask = uint8_t((1u << lowBits()) - 1);
  for (int64_t channel = 0, e = numPanels() * panelWidth; channel < e;
       ++channel) {
    for (int64_t step = 0, f = numTiles() * tileDepth; step < f; ++step) {
      bool inside = channel < n && step < k;
      uint8_t code = inside ? codes[channel * k + step] : fill;
      Position low = getLowPosition(channel, step);
      out[low.byte] |= uint8_t((code & lowMask) << low.bit);
      if (bits == 3) {
        Position high = getHighPosition(channel, step);
        out[high.byte] |= uint8_t((code >> 2 & 1) << high.bit);
      }
    }
  }
}

void WeightLayout::unpack(ArrayRef<uint8_t> packed,
                          MutableArrayRef<uint8_t> codes) const {
  assert(codes.size() == size_t(n * k) && packed.size() == size_t(codeBytes()));
  uint8_t lowMask = uint8_t((1u << lowBits()) - 1);
  for (int64_t channel = 0; channel < n; ++channel) {
    for (int64_t step = 0; step < k; ++step) {
      Position low = getLowPosition(channel, step);
      uint8_t code = packed[low.byte] >> low.bit & lowMask;
      if (bits == 3) {
        Position high = getHighPosition(channel, step);
        code |= uint8_t((packed[high.byte] >> high.bit & 1) << 2);
      }
      codes[channel * k + step] = code;
    }
  }
}

void WeightLayout::packGroups(ArrayRef<uint8_t> values, int64_t groups,
                              int64_t size,
                              MutableArrayRef<uint8_t> out) const {
  assert(values.size() == size_t(n * groups * size) &&
         out.size() == size_t(groupBytes(groups, size)));
  std::fill(out.begin(), out.end(), 0);
  for (int64_t channel = 0; channel < n; ++channel)
    for (int64_t group = 0; group < groups; ++group)
      std::memcpy(&out[((channel / panelWidth * groups + group) * panelWidth +
                        channel % panelWidth) *
                       size],
                  &values[(channel * groups + group) * size], size);
}

void WeightLayout::unpackGroups(ArrayRef<uint8_t> packed, int64_t groups,
                                int64_t size,
                                MutableArrayRef<uint8_t> values) const {
  assert(values.size() == size_t(n * groups * size) &&
         packed.size() == size_t(groupBytes(groups, size)));
  for (int64_t channel = 0; channel < n; ++channel)
    for (int64_t group = 0; group < groups; ++group)
      std::memcpy(
          &values[(channel * groups + group) * size],
          &packed[((channel / panelWidth * groups + group) * panelWidth +
                   channel % panelWidth) *
                  size],
          size);
}
