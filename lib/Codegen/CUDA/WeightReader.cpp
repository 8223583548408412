//===- WeightReader.cpp - Reading packed weights in CUDA kernels
//------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WeightReader.h"
#include <numeric>

using namespace mlir;
using namespace nibble::codegen::cuda;

constexpr int64_t warpSize = WeightLayout::warpSize;

int64_t WeightReader::getSegment(const KernelWeight &weight) {
  if (weight.numGroups() == 1)
    return WeightLayout::tileDepth;
  return std::gcd(weight.group, WeightLayout::tileDepth);
}

void WeightReader::fillTable(Value shared, Value warp, Value lane,
                             int64_t warps) {
  table = e.at(shared, e.mul(lane, 4));
  // Warps take turns with the values.
  for (int64_t first = 0; first < 16; first += warps) {
    Value value;
    for (int64_t i = first; i < std::min<int64_t>(16, first + warps); ++i) {
      Value constant = e.f32Const(weight.table[i]);
      value =
          value ? e.select(e.eq(warp, i - first), constant, value) : constant;
    }
    Value at = e.at(table, e.mul(e.add(warp, first), warpSize * 4));
    if (first + warps <= 16)
      e.store(value, at);
    else
      e.ifThen(e.lt(warp, e.num(16 - first)), [&] { e.store(value, at); });
  }
  e.barrier();
}

Values WeightReader::loadWords(Value tile, Value lane, bool constant) {
  Values words;
  auto loadPlane = [&](Value plane, unsigned bits) {
    int64_t count = WeightLayout::wordsPerLane(bits);
    int64_t perLoad = std::min<int64_t>(4, count);
    Value at = e.at(plane, e.mul(lane, perLoad * 4));
    for (int64_t first = 0; first < count; first += perLoad) {
      Value loaded = e.load(
          e.vector(perLoad, e.i32),
          e.at(at, WeightLayout::getWordOffset(0, first, bits)), constant);
      for (int64_t i = 0; i < perLoad; ++i)
        words.push_back(e.extract(loaded, i));
    }
  };
  loadPlane(tile, layout.lowBits());
  if (layout.bits == 3)
    loadPlane(e.at(tile, layout.highPlane()), 1);
  return words;
}

Value WeightReader::addMagic(Value code) {
  int64_t exponent = (int64_t(layout.bits) + 127) << 23;
  Value field = e.shift(code, 23 - int64_t(layout.bits));
  return e.bitcast(e.bitOr(field, e.num(exponent)), e.f32);
}

Value WeightReader::decode(const Values &words, int64_t j, int64_t kk,
                           int64_t r) {
  WeightLayout::Slot low = layout.getSlot(j, kk, r, layout.lowBits());
  Value word = words[low.word];
  if (isTable()) {
    // The code times the distance between values of the table.
    Value offset = e.shift(word, 7 - int64_t(low.bit));
    return e.load(e.f32, e.at(table, e.bitAnd(offset, 15 << 7)));
  }
  int64_t top = 23 - int64_t(layout.bits);
  int64_t lowMask = (int64_t(1) << layout.lowBits()) - 1;
  Value field = e.bitAnd(e.shift(word, top - int64_t(low.bit)), lowMask << top);
  if (layout.bits == 3) {
    WeightLayout::Slot high = layout.getSlot(j, kk, r, 1);
    Value bit = words[WeightLayout::wordsPerLane(2) + high.word];
    bit = e.bitAnd(e.shift(bit, 22 - int64_t(high.bit)), 1 << 22);
    field = e.bitOr(field, bit);
  }
  int64_t exponent = (int64_t(layout.bits) + 127) << 23;
  return e.bitcast(e.bitOr(field, e.num(exponent)), e.f32);
}

Value WeightReader::decodePair(const Values &words, int64_t j, int64_t kk,
                               int64_t half) {
  constexpr int64_t both = 0x10001;
  WeightLayout::Slot low = layout.getSlot(j, kk, 2 * half, layout.lowBits());
  int64_t lowMask = (int64_t(1) << layout.lowBits()) - 1;
  Value codes =
      e.bitAnd(e.shift(words[low.word], -int64_t(low.bit)), lowMask * both);
  if (layout.bits == 3) {
    WeightLayout::Slot high = layout.getSlot(j, kk, 2 * half, 1);
    Value bit = words[WeightLayout::wordsPerLane(2) + high.word];
    bit = e.bitAnd(e.shift(bit, 2 - int64_t(high.bit)), 4 * both);
    codes = e.bitOr(codes, bit);
  }
  return codes;
}
