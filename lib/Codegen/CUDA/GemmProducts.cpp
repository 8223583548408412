//===- GemmProducts.cpp - Products of tiles on tensor cores
//-----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GemmProducts.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::codegen::cuda;

Value GemmProducts::getUnitOffset(KernelEmitter &e, const GemmKernelOptions &o,
                                  Value row, Value unit) {
  int64_t rowBytes = getRowBytes(o);
  Value turn =
      rowBytes == 128 ? e.bitAnd(row, 7) : e.bitAnd(e.shift(row, -1), 3);
  return e.add(e.mul(row, rowBytes), e.mul(e.bitXor(unit, turn), 16));
}

Values GemmProducts::loadInput(const GemmStage &stage, Value firstRow,
                               Value lane, int64_t tile, int64_t step) {
  // Matrices 0 and 1 are the rows' upper and lower eight, 2 and 3 the same of
  // the second 16 bytes.
  Value row = e.add(e.add(firstRow, 16 * tile), e.bitAnd(lane, 15));
  Value unit = e.add(e.shift(lane, -4), 2 * step);
  return e.loadMatrices(e.at(stage.input, getUnitOffset(e, o, row, unit)));
}

namespace {

/// Products of halves with weights that are made in registers.
class HalfProducts : public GemmProducts {
public:
  using GemmProducts::GemmProducts;

  Values begin() override {
    return Values(rowTiles() * columns * 4, e.f32Const(0.0));
  }
  Values addTile(const GemmStage &stage, Value firstRow, Value lane,
                 ValueRange sums) override;
  Values finish(ValueRange sums) override { return Values(sums); }

private:
  /// What turns the codes of a column into weights: in the type of the input,
  /// twice in a register, or as f32.
  struct Column {
    Value scale, zero;
  };
  void loadColumns(const GemmStage &stage, Value lane, int64_t segment,
                   MutableArrayRef<Column> columns);
  Value twice(Value x);
  /// Operations on pairs: bf16 has only the fused one on sm_80.
  Value pairSub(Value x, Value y);
  Value pairMul(Value x, Value y);
  Value makeWeights(const Values &words, int64_t j, int64_t kk, int64_t half,
                    const Column &column);
  /// Codes of 8 bits do not fit bf16's fraction beside a leading one, and
  /// values of codebooks come as f32.
  bool isWide() const {
    return reader.isTable() ||
           (o.input == FloatKind::BF16 && o.weight.layout.bits == 8);
  }
  /// The power of two with the codes in the last bits of its fraction: 1024 in
  /// f16, 128 in bf16.
  double pairMagic() const { return o.input == FloatKind::F16 ? 1024 : 128; }
  int64_t pairMagicBits() const {
    return o.input == FloatKind::F16 ? 0x64006400 : 0x43004300;
  }
};

/// Products of bytes, i32 sums that become f32 with the scales of each group.
class ByteProducts : public GemmProducts {
public:
  using GemmProducts::GemmProducts;

  Values begin() override {
    return Values(rowTiles() * columns * 4,
                  oneGroup() ? e.num(0) : e.f32Const(0.0));
  }
  Values addTile(const GemmStage &stage, Value firstRow, Value lane,
                 ValueRange sums) override;
  Values finish(ValueRange sums) override {
    Values floats;
    for (Value sum : sums)
      floats.push_back(oneGroup() && !o.inputZeros ? e.toF32(sum) : sum);
    return floats;
  }

private:
  /// One group: the scale of a channel is applied in the epilogue.
  bool oneGroup() const { return o.weight.numGroups() == 1; }
  Value makeWeights(const Values &words, int64_t j, int64_t kk, Value zero);
};

} // namespace

std::unique_ptr<GemmProducts> GemmProducts::create(KernelEmitter &e,
                                                   const GemmKernelOptions &o,
                                                   WeightReader &reader) {
  if (o.isByte())
    return std::make_unique<ByteProducts>(e, o, reader);
  return std::make_unique<HalfProducts>(e, o, reader);
}

//===----------------------------------------------------------------------===//
// Halves
//===----------------------------------------------------------------------===//

Value HalfProducts::twice(Value x) { return e.pack({x, x}); }

Value HalfProducts::pairSub(Value x, Value y) {
  if (o.input == FloatKind::F16)
    return e.fsub(x, y);
  Value one = e.fromF32(e.f32Const(1.0), o.input);
  Value negated = e.bitcast(
      e.bitXor(e.bitcast(y, e.i32), e.num(int64_t(int32_t(0x80008000)))),
      y.getType());
  return e.fma(x, twice(one), negated);
}

Value HalfProducts::pairMul(Value x, Value y) {
  if (o.input == FloatKind::F16)
    return e.fmul(x, y);
  return e.fma(x, y, twice(e.fromF32(e.f32Const(-0.0), o.input)));
}

void HalfProducts::loadColumns(const GemmStage &stage, Value lane,
                               int64_t segment,
                               MutableArrayRef<Column> result) {
  // Four channels of this lane side by side, of 32 in a segment.
  Value first = e.add(e.mul(e.shift(lane, -2), columns), segment * warpSize);
  auto loadFour = [&](Value base) {
    int64_t size = getSize(o.weight.scale);
    Value at = e.at(base, e.mul(first, size));
    return e.toF32(e.load(e.vector(columns, e.type(o.weight.scale)), at));
  };
  auto prepare = [&](Value x) {
    return isWide() ? x : twice(e.fromF32(x, o.input));
  };
  Value scales = loadFour(stage.scales), zeros;
  if (o.weight.zero == ZeroKind::Integer)
    zeros = e.load(e.i32, e.at(stage.zeros, first));
  else if (o.weight.zero != ZeroKind::None)
    zeros = loadFour(stage.zeros);
  double magic = isWide() ? reader.getMagic() : pairMagic();
  for (int64_t j = 0; j < columns; ++j) {
    Column &column = result[j];
    column.scale = prepare(e.extract(scales, j));
    switch (o.weight.zero) {
    case ZeroKind::None:
      column.zero = prepare(
          e.f32Const(magic + double(int64_t(1) << (o.weight.layout.bits - 1))));
      break;
    case ZeroKind::Integer: {
      Value code = e.bitAnd(e.shift(zeros, -8 * j), 255);
      if (isWide()) {
        column.zero = reader.addMagic(code);
      } else {
        Value pair = e.bitOr(e.mul(code, 0x10001), e.num(pairMagicBits()));
        column.zero = e.bitcast(pair, e.vector(2, e.type(o.input)));
      }
      break;
    }
    case ZeroKind::Float:
    case ZeroKind::Minimum:
      column.zero = prepare(e.extract(zeros, j));
      break;
    }
  }
}

Value HalfProducts::makeWeights(const Values &words, int64_t j, int64_t kk,
                                int64_t half, const Column &column) {
  VectorType pairType = e.vector(2, e.type(o.input));
  if (isWide()) {
    Values pair;
    for (int64_t r = 2 * half; r < 2 * half + 2; ++r) {
      Value x = reader.decode(words, j, kk, r);
      if (!reader.isTable()) {
        bool behind = o.weight.zero == ZeroKind::Float ||
                      o.weight.zero == ZeroKind::Minimum;
        x = e.fsub(x, behind ? e.f32Const(reader.getMagic()) : column.zero);
        if (o.weight.zero == ZeroKind::Float)
          x = e.fsub(x, column.zero);
      }
      x = o.weight.zero == ZeroKind::Minimum
              ? e.fma(x, column.scale, column.zero)
              : e.fmul(x, column.scale);
      pair.push_back(x);
    }
    return e.bitcast(e.fromF32(e.pack(pair), o.input), e.i32);
  }
  Value codes =
      e.bitOr(reader.decodePair(words, j, kk, half), e.num(pairMagicBits()));
  Value x = e.bitcast(codes, pairType);
  // Codes and integer zeros are exact.
  if (o.weight.zero == ZeroKind::None || o.weight.zero == ZeroKind::Integer) {
    x = pairMul(pairSub(x, column.zero), column.scale);
  } else {
    x = pairSub(x, twice(e.fromF32(e.f32Const(pairMagic()), o.input)));
    if (o.weight.zero == ZeroKind::Float)
      x = pairMul(pairSub(x, column.zero), column.scale);
    else
      x = e.fma(x, column.scale, column.zero);
  }
  return e.bitcast(x, e.i32);
}

Values HalfProducts::addTile(const GemmStage &stage, Value firstRow, Value lane,
                             ValueRange sums) {
  Values results(sums);
  Values words = reader.loadWords(stage.codes, lane, /*constant=*/false);
  int64_t segment = reader.getSegment();
  Column column[columns];
  for (int64_t kk = 0; kk < WeightLayout::tileDepth / 16; ++kk) {
    if (16 * kk % segment == 0)
      loadColumns(stage, lane, 16 * kk / segment, column);
    SmallVector<Values> inputs;
    for (int64_t tile = 0; tile < rowTiles(); ++tile)
      inputs.push_back(loadInput(stage, firstRow, lane, tile, kk));
    for (int64_t j = 0; j < columns; ++j) {
      Values weights;
      for (int64_t half = 0; half < 2; ++half)
        weights.push_back(makeWeights(words, j, kk, half, column[j]));
      for (int64_t tile = 0; tile < rowTiles(); ++tile) {
        Value *sum = &results[index(tile, j, 0)];
        Values next = e.mmaHalf(o.input, inputs[tile], weights,
                                ValueRange(ArrayRef<Value>(sum, 4)));
        llvm::copy(next, sum);
      }
    }
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

Value ByteProducts::makeWeights(const Values &words, int64_t j, int64_t kk,
                                Value zero) {
  const WeightLayout &layout = o.weight.layout;
  WeightLayout::Slot slot = layout.getSlot(j, kk, 0, layout.bits);
  constexpr int64_t all = 0x01010101;
  Value sign = e.num(int64_t(int32_t(0x80808080)));
  if (layout.bits == 8)
    return e.bitXor(words[slot.word], sign);
  Value codes = e.bitAnd(e.shift(words[slot.word], -int64_t(slot.bit)),
                         ((1 << layout.bits) - 1) * all);
  // With the sign bit set nothing is borrowed from the next byte.
  if (!zero)
    zero = e.num((int64_t(1) << (layout.bits - 1)) * all);
  return e.bitXor(e.sub(e.bitOr(codes, sign), zero), sign);
}

Values ByteProducts::addTile(const GemmStage &stage, Value firstRow, Value lane,
                             ValueRange sums) {
  Values results(sums);
  Values words = reader.loadWords(stage.codes, lane, /*constant=*/false);
  int64_t segment = reader.getSegment();
  Value zeros[columns], scales[2 * columns];
  SmallVector<Value> parts;
  for (int64_t step = 0; step < WeightLayout::tileDepth / 32; ++step) {
    bool begins = 32 * step % segment == 0;
    bool ends = 32 * (step + 1) % segment == 0;
    if (begins) {
      int64_t first = 32 * step / segment * warpSize;
      if (o.weight.zero == ZeroKind::Integer) {
        Value at = e.add(e.mul(e.shift(lane, -2), columns), first);
        Value packed = e.load(e.i32, e.at(stage.zeros, at));
        for (int64_t j = 0; j < columns; ++j)
          zeros[j] = e.mul(e.bitAnd(e.shift(packed, -8 * j), 255), 0x01010101);
      }
      if (!oneGroup()) {
        parts.assign(results.size(), e.num(0));
        // The channels of this lane's sums: eight side by side.
        Type type = e.type(o.weight.scale);
        Value at = e.add(e.mul(e.bitAnd(lane, 3), 2 * columns), first);
        at = e.at(stage.scales, e.mul(at, getSize(o.weight.scale)));
        for (int64_t half = 0; half < 2; ++half) {
          Value four = e.toF32(
              e.load(e.vector(columns, type),
                     e.at(at, half * columns * getSize(o.weight.scale))));
          for (int64_t i = 0; i < columns; ++i)
            scales[half * columns + i] = e.extract(four, i);
        }
      }
    }
    MutableArrayRef<Value> target = oneGroup() ? MutableArrayRef<Value>(results)
                                               : MutableArrayRef<Value>(parts);
    SmallVector<Values> inputs;
    for (int64_t tile = 0; tile < rowTiles(); ++tile)
      inputs.push_back(loadInput(stage, firstRow, lane, tile, step));
    for (int64_t j = 0; j < columns; ++j) {
      Values weights = {makeWeights(words, j, 2 * step, zeros[j]),
                        makeWeights(words, j, 2 * step + 1, zeros[j])};
      for (int64_t tile = 0; tile < rowTiles(); ++tile) {
        Value *sum = &target[index(tile, j, 0)];
        Values next = e.mmaByte(inputs[tile], o.inputZeros, weights,
                                ValueRange(ArrayRef<Value>(sum, 4)));
        llvm::copy(next, sum);
      }
    }
    if (ends && !oneGroup())
      for (int64_t tile = 0; tile < rowTiles(); ++tile)
        for (int64_t j = 0; j < columns; ++j)
          for (int64_t i = 0; i < 4; ++i) {
            // Element i is of column 2t + i % 2, channel 8t + 4 (i % 2) + j.
            Value &sum = results[index(tile, j, i)];
            Value part = e.toF32(parts[index(tile, j, i)]);
            sum = e.fma(part, scales[i % 2 * columns + j], sum);
          }
  }
  return results;
}
