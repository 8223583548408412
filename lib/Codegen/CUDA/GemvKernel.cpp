//===- GemvKernel.cpp - Matrix-vector products with packed weights
//----------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A code of b bits becomes a float without a conversion: put below the
// exponent of 2^b it is the float 2^b + code. The sum of (2^b + code) * x and
// that of x, over what shares a scale, give
//
//   scale * (sum((2^b + code) * x) - (2^b + zero) * sum(x))
//
//===----------------------------------------------------------------------===//

#include "Epilogue.h"
#include "WeightReader.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::codegen::cuda;

namespace {

constexpr int64_t warpSize = WeightLayout::warpSize;
/// Channels that a lane holds.
constexpr int64_t laneChannels = 4;

class GemvEmitter {
public:
  GemvEmitter(KernelEmitter &e, const GemvKernelOptions &options)
      : e(e), o(options), layout(options.weight.layout),
        reader(e, options.weight), rows(options.rowsPerBlock),
        groups(options.weight.numGroups()), groupLength(options.weight.group) {}

  void emit();

private:
  void readArguments();
  /// Adds the products of a tile to the sums. The last tile may be `ragged`:
  /// the input ends in it.
  Values emitTile(Value tile, ValueRange sums, bool ragged,
                  const Values &words);
  Values loadWords(Value tile) {
    Value at = e.at(panelCodes, e.mul(tile, layout.tileBytes()));
    return reader.loadWords(at, lane, /*constant=*/true);
  }
  Value loadInputPair(Value tile, int64_t step, int64_t row, bool ragged);
  /// Applies scales and zero points to the sums of products `part` and of the
  /// input `inputSum` and adds the result to `sums`.
  void addScaled(Value group, ArrayRef<Value> part, ArrayRef<Value> inputSum,
                 MutableArrayRef<Value> sums);
  void emitResult(ValueRange sums);

  /// The index of a sum or a part.
  size_t index(int64_t j, int64_t row) const { return j * rows + row; }

  KernelEmitter &e;
  const GemvKernelOptions &o;
  const WeightLayout &layout;
  WeightReader reader;
  int64_t rows, groups, groupLength;

  Value codes, scales, zeros, input, bias, residual, output, numRows;
  Value thread, warp, lane, panel, firstRow;
  /// Codes of the panel, for this lane; scales of the panel, for this lane.
  Value panelCodes;
  /// Offset in the input of the row, in elements.
  SmallVector<Value> rowOffsets;
};

} // namespace

void GemvEmitter::readArguments() {
  unsigned i = 0;
  auto next = [&] { return e.func.getArgument(i++); };
  codes = next();
  scales = next();
  if (o.weight.zero != ZeroKind::None)
    zeros = next();
  input = next();
  if (o.epilogue.bias)
    bias = next();
  if (o.epilogue.residual)
    residual = next();
  output = next();
  numRows = next();
  for (Value constant : {codes, scales, zeros, input, bias})
    if (constant)
      e.setConstant(constant);
}

/// Elements `step` and `step` + 1 of the lane's part of a tile's input, as f32.
Value GemvEmitter::loadInputPair(Value tile, int64_t step, int64_t row,
                                 bool ragged) {
  Type type = e.type(o.input);
  int64_t size = getSize(o.input);
  Value t = e.bitAnd(lane, 3);
  // 64 * tile + step + 2 * t
  Value k =
      e.add(e.add(e.mul(tile, WeightLayout::tileDepth), step), e.mul(t, 2));
  auto address = [&](Value k) {
    return e.at(e.at(input, rowOffsets[row]), e.mul(k, size));
  };
  // Pairs of every row are aligned if rows are even.
  if (!ragged && layout.k % 2 == 0)
    return e.toF32(e.load(e.vector(2, type), address(k), true));
  Values pair;
  for (int64_t i = 0; i < 2; ++i) {
    Value at = e.add(k, i);
    Value last = e.num(layout.k - 1);
    Value x =
        e.toF32(e.load(type, address(ragged ? e.min(at, last) : at), true));
    if (ragged)
      x = e.select(e.lt(at, e.num(layout.k)), x, e.f32Const(0.0));
    pair.push_back(x);
  }
  return e.pack(pair);
}

void GemvEmitter::addScaled(Value group, ArrayRef<Value> part,
                            ArrayRef<Value> inputSum,
                            MutableArrayRef<Value> sums) {
  // [panel][group][32], four channels of this lane side by side.
  Value first = e.add(e.mul(e.add(e.mul(panel, groups), group), warpSize),
                      e.mul(e.shift(lane, -2), laneChannels));
  auto loadFour = [&](Value base) {
    Type type = e.type(o.weight.scale);
    Value at = e.at(base, e.mul(first, getSize(o.weight.scale)));
    return e.toF32(e.load(e.vector(laneChannels, type), at, true));
  };
  Value scale = loadFour(scales), zero;
  if (o.weight.zero == ZeroKind::Integer)
    zero = e.load(e.i32, e.at(zeros, first), true);
  else if (o.weight.zero != ZeroKind::None)
    zero = loadFour(zeros);

  for (int64_t j = 0; j < laneChannels; ++j) {
    Value shifted, minimum;
    if (!reader.isTable()) {
      switch (o.weight.zero) {
      case ZeroKind::None:
        shifted = e.f32Const(reader.getMagic() * 1.5);
        break;
      case ZeroKind::Integer: {
        shifted = reader.addMagic(e.bitAnd(e.shift(zero, -8 * j), 255));
        break;
      }
      case ZeroKind::Float:
        shifted = e.fadd(e.extract(zero, j), e.f32Const(reader.getMagic()));
        break;
      case ZeroKind::Minimum:
        shifted = e.f32Const(reader.getMagic());
        minimum = e.extract(zero, j);
        break;
      }
    }
    for (int64_t row = 0; row < rows; ++row) {
      Value value = part[index(j, row)];
      if (shifted)
        value = e.fsub(value, e.fmul(shifted, inputSum[row]));
      Value &sum = sums[index(j, row)];
      sum = e.fma(e.extract(scale, j), value, sum);
      if (minimum)
        sum = e.fma(minimum, inputSum[row], sum);
    }
  }
}

Values GemvEmitter::emitTile(Value tile, ValueRange sums, bool ragged,
                             const Values &words) {
  int64_t segment = reader.getSegment();
  Values results(sums.begin(), sums.end());
  size_t numParts = laneChannels * rows;
  Value zero = e.f32Const(0.0);
  // Behind the input there are no groups either.
  int64_t end =
      ragged ? layout.k % WeightLayout::tileDepth : WeightLayout::tileDepth;
  for (int64_t begin = 0; begin < end; begin += segment) {
    SmallVector<Value> part(numParts, zero), inputSum(rows, zero);
    if (groups == 1) {
      // One scale for all of K: it is applied at the end.
      part.assign(results.begin(), results.begin() + numParts);
      inputSum.assign(results.begin() + numParts, results.end());
    }
    for (int64_t step = begin; step < begin + segment; step += 8) {
      int64_t kk = step / 16, half = step / 8 % 2;
      SmallVector<Value> x;
      for (int64_t row = 0; row < rows; ++row) {
        Value pair = loadInputPair(tile, step, row, ragged);
        for (int64_t i = 0; i < 2; ++i) {
          x.push_back(e.extract(pair, i));
          if (!reader.isTable())
            inputSum[row] = e.fadd(inputSum[row], x.back());
        }
      }
      for (int64_t j = 0; j < laneChannels; ++j)
        for (int64_t i = 0; i < 2; ++i) {
          Value weight = reader.decode(words, j, kk, 2 * half + i);
          for (int64_t row = 0; row < rows; ++row) {
            Value &sum = part[index(j, row)];
            sum = e.fma(weight, x[2 * row + i], sum);
          }
        }
    }
    if (groups == 1) {
      llvm::copy(part, results.begin());
      llvm::copy(inputSum, results.begin() + numParts);
      continue;
    }
    Value first = e.add(e.mul(tile, WeightLayout::tileDepth), begin);
    addScaled(e.div(first, groupLength), part, inputSum, results);
  }
  return results;
}

void GemvEmitter::emitResult(ValueRange sums) {
  // Warps leave their sums, lane by lane in the order of channels.
  Value shared = e.sharedMemory();
  Value t = e.bitAnd(lane, 3);
  for (int64_t row = 0; row < rows; ++row) {
    Value mine;
    for (int64_t j = 0; j < laneChannels; ++j) {
      Value sum = e.sumLanes(sums[index(j, row)], 4);
      mine = mine ? e.select(e.eq(t, j), sum, mine) : sum;
    }
    Value at = e.add(e.mul(warp, rows * warpSize), e.add(lane, row * warpSize));
    e.store(mine, e.at(shared, e.mul(at, 4)));
  }
  e.barrier();

  Value channel = e.add(e.mul(panel, WeightLayout::panelWidth), lane);
  ResultWriter writer{e,    o.epilogue, o.output, layout.n,
                      bias, residual,   output};
  e.forLoop(warp, e.num(rows), e.num(o.warps), {}, [&](Value row, ValueRange) {
    Value outRow = e.add(firstRow, row);
    e.ifThen(e.lt(outRow, numRows), [&] {
      Value at = e.at(shared, e.mul(e.add(e.mul(row, warpSize), lane), 4));
      Value sum = e.load(e.f32, at);
      for (int64_t i = 1; i < o.warps; ++i)
        sum = e.fadd(sum, e.load(e.f32, e.at(at, i * rows * warpSize * 4)));
      writer.write(outRow, channel, {sum});
    });
    return Values();
  });
}

void GemvEmitter::emit() {
  readArguments();
  thread = e.threadId();
  warp = e.shift(thread, -5);
  lane = e.bitAnd(thread, warpSize - 1);
  panel = e.blockId(0);
  firstRow = e.mul(e.blockId(1), rows);
  panelCodes =
      e.at(codes, e.wideMul(panel, layout.numTiles() * layout.tileBytes()));
  for (int64_t row = 0; row < rows; ++row) {
    // Rows that are not there read the last one and are not stored.
    Value at = e.min(e.add(firstRow, row), e.sub(numRows, e.num(1)));
    rowOffsets.push_back(e.wideMul(at, layout.k * getSize(o.input)));
  }
  if (reader.isTable())
    reader.fillTable(e.at(e.sharedMemory(), o.warps * rows * warpSize * 4),
                     warp, lane, o.warps);

  int64_t fullTiles = layout.k / WeightLayout::tileDepth;
  bool ragged = layout.k % WeightLayout::tileDepth != 0;
  // Loads of two tiles in flight where registers allow it.
  int64_t unroll = rows <= 2 && layout.bits <= 4 ? 2 : 1;
  size_t numSums = laneChannels * rows + (groups == 1 ? rows : 0);
  Values sums(numSums, e.f32Const(0.0));
  // This warp's tiles: warp, warp + warps, ...
  Value count = e.div(e.sub(e.num(fullTiles + o.warps - 1), warp), o.warps);
  auto tileAt = [&](Value i) { return e.add(warp, e.mul(i, o.warps)); };
  Value unrolled = e.mul(e.div(count, unroll), unroll);
  sums = e.forLoop(e.num(0), unrolled, e.num(unroll), sums,
                   [&](Value i, ValueRange carried) {
                     SmallVector<Value> tiles;
                     SmallVector<Values> words;
                     for (int64_t u = 0; u < unroll; ++u) {
                       tiles.push_back(tileAt(e.add(i, u)));
                       words.push_back(loadWords(tiles.back()));
                     }
                     Values results(carried.begin(), carried.end());
                     for (int64_t u = 0; u < unroll; ++u)
                       results = emitTile(tiles[u], results, false, words[u]);
                     return results;
                   });
  if (unroll > 1)
    sums = e.forLoop(unrolled, count, e.num(1), sums,
                     [&](Value i, ValueRange carried) {
                       Value tile = tileAt(i);
                       return emitTile(tile, carried, false, loadWords(tile));
                     });
  if (ragged) {
    Values before = sums;
    sums = e.ifYield(
        e.eq(warp, fullTiles % o.warps),
        [&] {
          Value tile = e.num(fullTiles);
          return emitTile(tile, before, true, loadWords(tile));
        },
        [&] { return before; });
  }
  if (groups == 1) {
    size_t numParts = laneChannels * rows;
    SmallVector<Value> part(sums.begin(), sums.begin() + numParts);
    SmallVector<Value> inputSum(sums.begin() + numParts, sums.end());
    sums.assign(numParts, e.f32Const(0.0));
    addScaled(e.num(0), part, inputSum, sums);
  }
  emitResult(sums);
}

LaunchShape codegen::cuda::getGemvLaunch(const GemvKernelOptions &options,
                                         int64_t rows) {
  LaunchShape shape;
  int64_t perBlock = options.rowsPerBlock;
  shape.grid[0] = options.weight.layout.numPanels();
  shape.grid[1] = (rows + perBlock - 1) / perBlock;
  shape.block[0] = warpSize * options.warps;
  shape.sharedBytes = options.warps * perBlock * warpSize * 4;
  shape.sharedBytes += WeightReader::getTableBytes(options.weight);
  return shape;
}

gpu::GPUFuncOp
codegen::cuda::buildGemvKernel(OpBuilder &builder, gpu::GPUModuleOp module,
                               const GemvKernelOptions &options) {
  Type pointer = KernelEmitter::globalPointer(builder.getContext());
  unsigned pointers = 4 + (options.weight.zero != ZeroKind::None) +
                      options.epilogue.bias + options.epilogue.residual;
  SmallVector<Type> arguments(pointers, pointer);
  arguments.push_back(builder.getI32Type());
  KernelEmitter emitter(builder, module, options.name, arguments,
                        warpSize * options.warps);
  GemvEmitter(emitter, options).emit();
  return emitter.finish();
}
