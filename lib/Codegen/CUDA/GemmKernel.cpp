//===- GemmKernel.cpp - Matrix products on tensor cores
//---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Epilogue.h"
#include "GemmProducts.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::codegen::cuda;

namespace {

constexpr int64_t warpSize = WeightLayout::warpSize;
constexpr int64_t tileDepth = WeightLayout::tileDepth;

/// Bytes of the parts of a stage of the pipeline.
struct StageLayout {
  explicit StageLayout(const GemmKernelOptions &o, int64_t segment) {
    const WeightLayout &layout = o.weight.layout;
    segments = tileDepth / segment;
    input = o.rowsPerBlock * GemmProducts::getRowBytes(o);
    codes = layout.tileBytes();
    scales = segments * warpSize * getSize(o.weight.scale);
    // One group of bytes: scales belong to the epilogue.
    if (o.isByte() && o.weight.numGroups() == 1)
      scales = 0;
    if (o.weight.zero == ZeroKind::Integer)
      zeros = segments * warpSize;
    else if (o.weight.zero != ZeroKind::None)
      zeros = segments * warpSize * getSize(o.weight.scale);
    total = input + o.panelsPerBlock * (codes + scales + zeros);
  }
  int64_t segments, input, codes, scales, zeros = 0, total;
};

class GemmEmitter {
public:
  GemmEmitter(KernelEmitter &e, const GemmKernelOptions &options)
      : e(e), o(options), layout(options.weight.layout),
        reader(e, options.weight),
        products(GemmProducts::create(e, options, reader)),
        stage(options, reader.getSegment()) {}

  void emit();

private:
  void readArguments();
  /// Starts the copies of a tile to a stage.
  void copyTile(Value tile, Value slot);
  void copyInput(Value tile, Value base);
  /// Copies rows of `bytes` for each panel: `source(panel, part)` is where row
  /// `part` of `parts` of a panel's begins.
  void copyPanels(Value base, int64_t parts, int64_t bytes,
                  function_ref<Value(Value, Value)> source);
  /// The group of segment `segment` of a tile; the last one behind the end.
  Value getGroup(Value tile, Value segment);
  /// `body` for each of `count` pieces of work, shared by the threads.
  void share(int64_t count, function_ref<void(Value)> body);
  void emitResult(ValueRange sums);

  KernelEmitter &e;
  const GemmKernelOptions &o;
  const WeightLayout &layout;
  WeightReader reader;
  std::unique_ptr<GemmProducts> products;
  StageLayout stage;

  Value codes, scales, zeros, input, inputScales, inputZeros, weightSums, bias,
      residual, output, numRows;
  Value thread, warp, lane, shared;
  Value firstPanel, firstRow;
  /// Number of the panel in the block and first row in the block.
  Value warpPanel, warpRow;
};

} // namespace

static int64_t getRowWarps(const GemmKernelOptions &o) {
  return std::max<int64_t>(1, o.rowsPerBlock / 64);
}
static int64_t getThreads(const GemmKernelOptions &o) {
  return warpSize * o.panelsPerBlock * getRowWarps(o);
}

void GemmEmitter::readArguments() {
  unsigned i = 0;
  auto next = [&] { return e.func.getArgument(i++); };
  codes = next();
  scales = next();
  if (o.weight.zero != ZeroKind::None)
    zeros = next();
  input = next();
  if (o.isByte())
    inputScales = next();
  if (o.inputZeros) {
    inputZeros = next();
    weightSums = next();
  }
  if (o.epilogue.bias && o.splits == 1)
    bias = next();
  if (o.epilogue.residual && o.splits == 1)
    residual = next();
  output = next();
  numRows = next();
  for (Value constant :
       {codes, scales, zeros, input, inputScales, inputZeros, weightSums, bias})
    if (constant)
      e.setConstant(constant);
}

void GemmEmitter::share(int64_t count, function_ref<void(Value)> body) {
  int64_t threads = getThreads(o);
  for (int64_t first = 0; first < count; first += threads) {
    Value piece = e.add(thread, first);
    if (first + threads <= count)
      body(piece);
    else
      e.ifThen(e.lt(thread, e.num(count - first)), [&] { body(piece); });
  }
}

void GemmEmitter::copyInput(Value tile, Value base) {
  int64_t rowBytes = GemmProducts::getRowBytes(o);
  int64_t inputBytes = layout.k * (o.isByte() ? 1 : 2);
  // The widest copies that rows are aligned to.
  int64_t size = inputBytes % 16 == 0 ? 16 : inputBytes % 8 == 0 ? 8 : 4;
  int64_t perRow = rowBytes / size;
  share(o.rowsPerBlock * perRow, [&](Value piece) {
    Value row = e.div(piece, perRow);
    Value inRow = e.mul(e.rem(piece, perRow), size);
    Value from = e.add(e.mul(tile, rowBytes), inRow);
    // Behind the end of a row and of the input are zeros; their address is
    // that of something that is there.
    Value left = e.sub(e.num(inputBytes), from);
    Value outRow = e.add(firstRow, row);
    Value isRow = e.lt(outRow, numRows);
    Value inside = e.both(isRow, e.lt(e.num(0), left));
    Value available = e.select(inside, e.min(left, e.num(size)), e.num(0));
    Value safeRow = e.select(isRow, outRow, e.num(0));
    Value safeFrom = e.select(inside, from, e.num(0));
    Value source = e.at(e.at(input, e.wideMul(safeRow, inputBytes)), safeFrom);
    Value offset = GemmProducts::getUnitOffset(e, o, row, e.div(inRow, 16));
    if (size < 16)
      offset = e.add(offset, e.rem(inRow, 16));
    e.copyAsync(e.at(base, offset), source, size, available);
  });
}

void GemmEmitter::copyPanels(Value base, int64_t parts, int64_t bytes,
                             function_ref<Value(Value, Value)> source) {
  int64_t perPart = bytes / 16;
  share(o.panelsPerBlock * parts * perPart, [&](Value piece) {
    Value part = e.rem(e.div(piece, perPart), parts);
    Value panel = e.add(firstPanel, e.div(piece, parts * perPart));
    // Panels behind the last one are computed and not stored.
    panel = e.min(panel, e.num(layout.numPanels() - 1));
    Value from = e.at(source(panel, part), e.mul(e.rem(piece, perPart), 16));
    e.copyAsync(e.at(base, e.mul(piece, 16)), from, 16);
  });
}

Value GemmEmitter::getGroup(Value tile, Value segment) {
  if (o.weight.numGroups() == 1)
    return e.num(0);
  Value first =
      e.add(e.mul(tile, tileDepth), e.mul(segment, tileDepth / stage.segments));
  return e.min(e.div(first, o.weight.group), e.num(o.weight.numGroups() - 1));
}

void GemmEmitter::copyTile(Value tile, Value slot) {
  Value base = e.at(shared, e.mul(slot, stage.total));
  copyInput(tile, base);
  base = e.at(base, stage.input);
  copyPanels(base, 1, stage.codes, [&](Value panel, Value) {
    Value at = e.wideMul(panel, layout.numTiles() * layout.tileBytes());
    return e.at(e.at(codes, at), e.mul(tile, layout.tileBytes()));
  });
  base = e.at(base, o.panelsPerBlock * stage.codes);
  auto copyGroups = [&](Value array, int64_t bytes) {
    int64_t row = bytes / stage.segments;
    copyPanels(base, stage.segments, row, [&](Value panel, Value segment) {
      Value at = e.wideMul(panel, o.weight.numGroups() * row);
      return e.at(e.at(array, at), e.mul(getGroup(tile, segment), row));
    });
    base = e.at(base, o.panelsPerBlock * bytes);
  };
  if (stage.scales)
    copyGroups(scales, stage.scales);
  if (stage.zeros)
    copyGroups(zeros, stage.zeros);
}

void GemmEmitter::emitResult(ValueRange sums) {
  // Partial sums are stored as they are.
  bool isPart = o.splits > 1;
  Value part = output;
  if (isPart)
    part = e.at(output, e.wideMul(e.mul(e.blockId(2), numRows), layout.n * 4));
  ResultWriter writer{e,
                      isPart ? Epilogue() : o.epilogue,
                      isPart ? FloatKind::F32 : o.output,
                      layout.n,
                      bias,
                      residual,
                      part};
  // Columns 2t and 2t+1 of product j are channels 8t+j and 8t+4+j.
  Value panel = e.add(firstPanel, warpPanel);
  Value channel = e.add(e.mul(panel, WeightLayout::panelWidth),
                        e.mul(e.bitAnd(lane, 3), 8));
  Values channelScales, channelSums;
  if (o.isByte() && o.weight.numGroups() == 1)
    for (int64_t half = 0; half < 2; ++half) {
      // Panels behind the last one have no scales.
      Value safe = e.min(panel, e.num(layout.numPanels() - 1));
      Value at = e.add(e.mul(safe, WeightLayout::panelWidth),
                       e.add(e.mul(e.bitAnd(lane, 3), 8), 4 * half));
      int64_t size = getSize(o.weight.scale);
      Value four = e.toF32(e.load(e.vector(4, e.type(o.weight.scale)),
                                  e.at(scales, e.mul(at, size)), true));
      for (int64_t i = 0; i < 4; ++i)
        channelScales.push_back(e.extract(four, i));
    }
  if (o.inputZeros)
    for (int64_t i = 0; i < 8; ++i) {
      Value safe = e.min(e.add(channel, i), e.num(layout.n - 1));
      channelSums.push_back(
          e.load(e.i32, e.at(weightSums, e.mul(safe, 4)), true));
    }
  for (int64_t tile = 0; tile < products->rowTiles(); ++tile)
    for (int64_t below = 0; below < 2; ++below) {
      Value inBlock =
          e.add(e.add(warpRow, 16 * tile + 8 * below), e.shift(lane, -2));
      Value row = e.add(firstRow, inBlock);
      e.ifThen(e.lt(row, numRows), [&] {
        Value rowScale;
        if (o.isByte())
          rowScale = e.load(e.f32, e.at(inputScales, e.mul(row, 4)), true);
        Value rowZero;
        if (o.inputZeros) {
          rowZero = e.widen(e.load(e.i8, e.at(inputZeros, row), true));
          // Of the splits one takes the zero points off.
          if (isPart)
            rowZero = e.select(e.eq(e.blockId(2), 0), rowZero, e.num(0));
        }
        Values results;
        for (int64_t i = 0; i < 8; ++i) {
          Value sum = sums[GemmProducts::index(tile, i % 4, 2 * below + i / 4)];
          if (rowZero)
            sum = e.toF32(e.sub(sum, e.mul(rowZero, channelSums[i])));
          if (!channelScales.empty())
            sum = e.fmul(sum, channelScales[i]);
          if (rowScale)
            sum = e.fmul(sum, rowScale);
          results.push_back(sum);
        }
        writer.write(row, channel, results);
      });
    }
}

void GemmEmitter::emit() {
  readArguments();
  thread = e.threadId();
  warp = e.shift(thread, -5);
  lane = e.bitAnd(thread, warpSize - 1);
  shared = e.sharedMemory();
  firstPanel = e.mul(e.blockId(0), o.panelsPerBlock);
  firstRow = e.mul(e.blockId(1), o.rowsPerBlock);
  warpPanel = e.rem(warp, o.panelsPerBlock);
  warpRow = e.mul(e.div(warp, o.panelsPerBlock), 64);
  if (reader.isTable())
    reader.fillTable(e.at(shared, o.stages * stage.total), warp, lane,
                     getThreads(o) / warpSize);

  // This block's tiles: [begin, begin + count).
  int64_t perSplit = (layout.numTiles() + o.splits - 1) / o.splits;
  Value begin = e.num(0), count = e.num(layout.numTiles());
  if (o.splits > 1) {
    begin = e.mul(e.blockId(2), perSplit);
    count = e.min(e.sub(count, begin), e.num(perSplit));
  }
  auto copyIfThere = [&](Value i, Value slot) {
    e.ifThen(e.lt(i, count), [&] { copyTile(e.add(begin, i), slot); });
    // Empty groups keep the count of those under way.
    e.commitCopies();
  };
  for (int64_t i = 0; i < o.stages - 1; ++i)
    copyIfThere(e.num(i), e.num(i));

  Values sums =
      e.forLoop(e.num(0), count, e.num(1), products->begin(),
                [&](Value i, ValueRange carried) {
                  e.waitForCopies(o.stages - 2);
                  // Now the tile is there for all, and all are done with the
                  // one before, whose place the next copy takes.
                  e.barrier();
                  Value next = e.add(i, o.stages - 1);
                  copyIfThere(next, e.rem(next, o.stages));
                  Value base =
                      e.at(shared, e.mul(e.rem(i, o.stages), stage.total));
                  GemmStage view;
                  view.input = base;
                  base = e.at(base, stage.input);
                  auto part = [&](int64_t bytes) {
                    Value at = e.at(base, e.mul(warpPanel, bytes));
                    base = e.at(base, o.panelsPerBlock * bytes);
                    return at;
                  };
                  view.codes = part(stage.codes);
                  view.scales = part(stage.scales);
                  view.zeros = part(stage.zeros);
                  return products->addTile(view, warpRow, lane, carried);
                });
  emitResult(products->finish(sums));
}

StringRef codegen::cuda::getGemmObstacle(const GemmKernelOptions &o) {
  const WeightLayout &layout = o.weight.layout;
  int64_t step = o.isByte() ? 32 : 16;
  if (o.weight.group % step != 0)
    return "a group is not a whole number of steps of the instruction";
  if (layout.k * (o.isByte() ? 1 : 2) % 4 != 0)
    return "rows of the input are not aligned to 4 bytes";
  if (o.inputZeros && (!o.isByte() || o.weight.numGroups() != 1))
    return "zero points of the input need bytes with one scale per channel";
  if (!o.isByte())
    return o.input == FloatKind::F32 ? "the input is f32" : "";
  if (layout.bits == 3 || !o.weight.table.empty())
    return "3 bits and codebooks have no fragments of bytes";
  if (o.weight.zero != ZeroKind::None &&
      (layout.bits == 8 || o.weight.zero != ZeroKind::Integer))
    return "code minus zero point does not fit a byte";
  return "";
}

LaunchShape codegen::cuda::getGemmLaunch(const GemmKernelOptions &o,
                                         int64_t rows) {
  KernelWeight weight = o.weight;
  LaunchShape shape;
  shape.grid[0] =
      (weight.layout.numPanels() + o.panelsPerBlock - 1) / o.panelsPerBlock;
  shape.grid[1] = (rows + o.rowsPerBlock - 1) / o.rowsPerBlock;
  shape.grid[2] = o.splits;
  shape.block[0] = getThreads(o);
  shape.sharedBytes =
      o.stages * StageLayout(o, WeightReader::getSegment(weight)).total +
      WeightReader::getTableBytes(weight);
  return shape;
}

gpu::GPUFuncOp codegen::cuda::buildGemmKernel(OpBuilder &builder,
                                              gpu::GPUModuleOp module,
                                              const GemmKernelOptions &o) {
  unsigned pointers =
      4 + (o.weight.zero != ZeroKind::None) + o.isByte() + 2 * o.inputZeros;
  if (o.splits == 1)
    pointers += o.epilogue.bias + o.epilogue.residual;
  SmallVector<Type> arguments(
      pointers, KernelEmitter::globalPointer(builder.getContext()));
  arguments.push_back(builder.getI32Type());
  KernelEmitter emitter(builder, module, o.name, arguments, getThreads(o));
  GemmEmitter(emitter, o).emit();
  return emitter.finish();
}

//===----------------------------------------------------------------------===//
// Sums of splits
//===----------------------------------------------------------------------===//

/// Threads of a block.
static constexpr int64_t sumThreads = 256;

LaunchShape
codegen::cuda::getSplitSumLaunch(const SplitSumKernelOptions &options,
                                 int64_t rows) {
  LaunchShape shape;
  shape.grid[0] = (options.n + sumThreads - 1) / sumThreads;
  shape.grid[1] = rows;
  shape.block[0] = sumThreads;
  return shape;
}

gpu::GPUFuncOp
codegen::cuda::buildSplitSumKernel(OpBuilder &builder, gpu::GPUModuleOp module,
                                   const SplitSumKernelOptions &o) {
  unsigned pointers = 2 + o.epilogue.bias + o.epilogue.residual;
  SmallVector<Type> arguments(
      pointers, KernelEmitter::globalPointer(builder.getContext()));
  arguments.push_back(builder.getI32Type());
  KernelEmitter e(builder, module, o.name, arguments, sumThreads);
  unsigned i = 0;
  auto next = [&] { return e.func.getArgument(i++); };
  Value workspace = next();
  Value bias = o.epilogue.bias ? Value(next()) : Value();
  Value residual = o.epilogue.residual ? Value(next()) : Value();
  Value output = next(), numRows = next();
  for (Value constant : {workspace, bias})
    if (constant)
      e.setConstant(constant);
  Value channel = e.add(e.mul(e.blockId(0), sumThreads), e.threadId());
  Value row = e.blockId(1);
  e.ifThen(e.lt(channel, e.num(o.n)), [&] {
    Value sum = e.f32Const(0.0);
    for (int64_t split = 0; split < o.splits; ++split) {
      Value inSplit = e.add(e.mul(numRows, split), row);
      Value at = e.at(workspace, e.wideMul(inSplit, o.n * 4));
      sum = e.fadd(sum, e.load(e.f32, e.at(at, e.mul(channel, 4)), true));
    }
    ResultWriter writer{e, o.epilogue, o.output, o.n, bias, residual, output};
    writer.write(row, channel, {sum});
  });
  return e.finish();
}
