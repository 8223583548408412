//===- RowKernels.cpp - Norms, softmax and rotary embedding
//-----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelEmitter.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::codegen::cuda;

namespace {

constexpr int64_t warpSize = WeightLayout::warpSize;

class RowEmitter {
public:
  RowEmitter(KernelEmitter &e, const RowKernelOptions &options)
      : e(e), o(options) {
    // Loads of 16 bytes where rows are made of them.
    int64_t widest = 16 / std::max(getSize(o.input), getSize(o.output));
    width = o.n % widest == 0 ? widest : 1;
  }
  void emit();

private:
  /// `body` for each `width` elements of the row, shared by the threads:
  /// body(first element, carried values).
  Values forElements(ValueRange init,
                     function_ref<Values(Value, ValueRange)> body);
  Values loadElements(Value base, Value first, FloatKind kind, bool constant);
  void storeElements(ArrayRef<Value> values, Value base, Value first,
                     FloatKind kind);
  /// x of the row; after `addAddend` what that has stored.
  Values load(Value first) {
    return loadElements(row, first, o.input, /*constant=*/false);
  }
  void addAddend();
  /// The sum or the maximum over the threads of the block.
  Value reduce(Value x, bool isSum);

  KernelEmitter &e;
  const RowKernelOptions &o;
  int64_t width;
  Value thread, rowNumber;
  /// Where the row of the input begins.
  Value row, addend, sum, weight, bias, output;
  /// Reductions so far: each has its own shared memory.
  int64_t numReductions = 0;
};

} // namespace

Values RowEmitter::forElements(ValueRange init,
                               function_ref<Values(Value, ValueRange)> body) {
  Value first = e.mul(thread, width);
  return e.forLoop(first, e.num(o.n), e.num(warpSize * o.warps * width), init,
                   body);
}

Values RowEmitter::loadElements(Value base, Value first, FloatKind kind,
                                bool constant) {
  Values values;
  int64_t size = getSize(kind), perLoad = std::min(width, 16 / size);
  for (int64_t i = 0; i < width; i += perLoad) {
    Value at = e.at(e.at(base, e.mul(first, size)), i * size);
    if (perLoad == 1) {
      values.push_back(e.toF32(e.load(e.type(kind), at, constant)));
      continue;
    }
    Value loaded =
        e.toF32(e.load(e.vector(perLoad, e.type(kind)), at, constant));
    for (int64_t j = 0; j < perLoad; ++j)
      values.push_back(e.extract(loaded, j));
  }
  return values;
}

void RowEmitter::storeElements(ArrayRef<Value> values, Value base, Value first,
                               FloatKind kind) {
  int64_t size = getSize(kind), perStore = std::min(width, 16 / size);
  for (int64_t i = 0; i < width; i += perStore) {
    Value at = e.at(e.at(base, e.mul(first, size)), i * size);
    Value value = perStore == 1 ? values[i] : e.pack(values.slice(i, perStore));
    e.store(e.fromF32(value, kind), at);
  }
}

void RowEmitter::addAddend() {
  forElements({}, [&](Value first, ValueRange) {
    Values x = load(first);
    Values y = loadElements(addend, first, o.input, /*constant=*/false);
    for (int64_t i = 0; i < width; ++i)
      x[i] = e.fadd(x[i], y[i]);
    storeElements(x, sum, first, o.input);
    return Values();
  });
  // A thread reads again what it has stored itself.
  row = sum;
}

Value RowEmitter::reduce(Value x, bool isSum) {
  x = isSum ? e.sumLanes(x, warpSize) : e.maxLanes(x, warpSize);
  if (o.warps == 1)
    return x;
  Value place = e.at(e.sharedMemory(), numReductions++ * o.warps * 4);
  e.ifThen(e.eq(e.bitAnd(thread, warpSize - 1), 0),
           [&] { e.store(x, e.at(place, e.mul(e.shift(thread, -5), 4))); });
  e.barrier();
  Value result = e.load(e.f32, place);
  for (int64_t i = 1; i < o.warps; ++i) {
    Value other = e.load(e.f32, e.at(place, i * 4));
    result = isSum ? e.fadd(result, other) : e.fmax(result, other);
  }
  return result;
}

void RowEmitter::emit() {
  thread = e.threadId();
  rowNumber = e.blockId(0);
  unsigned next = 0;
  auto matrix = [&](FloatKind kind) {
    Value offset = e.wideMul(rowNumber, o.n * getSize(kind));
    return e.at(Value(e.func.getArgument(next++)), offset);
  };
  row = matrix(o.input);
  if (o.addend) {
    addend = matrix(o.input);
    sum = matrix(o.input);
  }
  if (o.weight)
    weight = e.func.getArgument(next++);
  if (o.bias)
    bias = e.func.getArgument(next++);
  output = matrix(o.output);
  for (Value constant : {weight, bias})
    if (constant)
      e.setConstant(constant);
  if (o.addend)
    addAddend();

  Value zero = e.f32Const(0.0), scale, shift;
  Value perElement = e.f32Const(1.0 / double(o.n));
  auto sumOf = [&](function_ref<Value(Value)> f) {
    Values total =
        forElements({zero}, [&](Value first, ValueRange carried) -> Values {
          Value sum = carried[0];
          for (Value x : load(first))
            sum = e.fadd(sum, f(x));
          return {sum};
        });
    return reduce(total[0], /*isSum=*/true);
  };
  switch (o.function) {
  case RowFunction::RMSNorm:
  case RowFunction::LayerNorm: {
    if (o.function == RowFunction::LayerNorm)
      shift = e.fmul(sumOf([](Value x) { return x; }), perElement);
    // The variance from differences: no cancellation.
    Value squares = sumOf([&](Value x) {
      Value y = shift ? e.fsub(x, shift) : x;
      return e.fmul(y, y);
    });
    scale = e.rsqrt(e.fadd(e.fmul(squares, perElement), e.f32Const(o.epsilon)));
    break;
  }
  case RowFunction::Softmax: {
    Value lowest = e.f32Const(-std::numeric_limits<float>::infinity());
    Values most =
        forElements({lowest}, [&](Value first, ValueRange carried) -> Values {
          Value largest = carried[0];
          for (Value x : load(first))
            largest = e.fmax(largest, x);
          return {largest};
        });
    shift = reduce(most[0], /*isSum=*/false);
    Value total = sumOf([&](Value x) { return e.exp(e.fsub(x, shift)); });
    scale = e.fdiv(e.f32Const(1.0), total);
    break;
  }
  }
  forElements({}, [&](Value first, ValueRange) {
    Values x = load(first), weights, biases;
    if (weight)
      weights = loadElements(weight, first, FloatKind::F32, true);
    if (bias)
      biases = loadElements(bias, first, FloatKind::F32, true);
    for (int64_t i = 0; i < width; ++i) {
      Value y = shift ? e.fsub(x[i], shift) : x[i];
      if (o.function == RowFunction::Softmax)
        y = e.exp(y);
      y = e.fmul(y, scale);
      if (weight)
        y = e.fmul(y, weights[i]);
      x[i] = bias ? e.fadd(y, biases[i]) : y;
    }
    storeElements(x, output, first, o.output);
    return Values();
  });
}

LaunchShape codegen::cuda::getRowLaunch(const RowKernelOptions &options,
                                        int64_t rows) {
  LaunchShape shape;
  shape.grid[0] = rows;
  shape.block[0] = warpSize * options.warps;
  // At most two reductions.
  shape.sharedBytes = 2 * options.warps * 4;
  return shape;
}

gpu::GPUFuncOp codegen::cuda::buildRowKernel(OpBuilder &builder,
                                             gpu::GPUModuleOp module,
                                             const RowKernelOptions &options) {
  unsigned pointers = 2 + 2 * options.addend + options.weight + options.bias;
  SmallVector<Type> arguments(
      pointers, KernelEmitter::globalPointer(builder.getContext()));
  arguments.push_back(builder.getI32Type());
  KernelEmitter emitter(builder, module, options.name, arguments,
                        warpSize * options.warps);
  RowEmitter(emitter, options).emit();
  return emitter.finish();
}

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

/// Threads of a block; each takes a pair, of those that do not turn as well.
static constexpr int64_t rotaryThreads = 128;

LaunchShape codegen::cuda::getRotaryLaunch(const RotaryKernelOptions &options,
                                           int64_t rows) {
  LaunchShape shape;
  int64_t pairs = options.heads * options.headSize / 2;
  shape.grid[0] = (pairs + rotaryThreads - 1) / rotaryThreads;
  shape.grid[1] = rows;
  shape.block[0] = rotaryThreads;
  return shape;
}

gpu::GPUFuncOp codegen::cuda::buildRotaryKernel(OpBuilder &builder,
                                                gpu::GPUModuleOp module,
                                                const RotaryKernelOptions &o) {
  SmallVector<Type> arguments(
      5, KernelEmitter::globalPointer(builder.getContext()));
  arguments.push_back(builder.getI32Type());
  KernelEmitter e(builder, module, o.name, arguments, rotaryThreads);
  Value input = e.func.getArgument(0), cos = e.func.getArgument(1),
        sin = e.func.getArgument(2), positions = e.func.getArgument(3),
        output = e.func.getArgument(4);
  for (Value constant : {cos, sin, positions})
    e.setConstant(constant);
  int64_t perHead = o.headSize / 2, turning = o.rotated / 2;
  int64_t size = getSize(o.type);
  Value pair = e.add(e.mul(e.blockId(0), rotaryThreads), e.threadId());
  Value row = e.blockId(1);
  e.ifThen(e.lt(pair, e.num(o.heads * perHead)), [&] {
    Value head = e.div(pair, perHead), i = e.rem(pair, perHead);
    Value rowOffset = e.wideMul(row, o.heads * o.headSize * size);
    auto element = [&](Value base, Value index) {
      Value at = e.add(e.mul(head, o.headSize), index);
      return e.at(e.at(base, rowOffset), e.mul(at, size));
    };
    Value turns = e.lt(i, e.num(turning));
    Value first, second;
    if (o.interleaved) {
      first = e.mul(i, 2);
      second = e.add(first, 1);
    } else {
      // Pairs that do not turn are neighbours behind those that do.
      first = e.select(turns, i, e.mul(i, 2));
      second = e.select(turns, e.add(i, turning), e.add(e.mul(i, 2), 1));
    }
    Value a = e.load(e.type(o.type), element(input, first));
    Value b = e.load(e.type(o.type), element(input, second));
    auto store = [&](Value x, Value y) {
      e.store(x, element(output, first));
      e.store(y, element(output, second));
    };
    Values result = e.ifYield(
        turns,
        [&]() -> Values {
          Value position = e.load(e.i64, e.at(positions, e.mul(row, 8)), true);
          Value at = e.add(e.mul(e.narrow(position), turning), i);
          at = e.mul(at, 4);
          Value c = e.load(e.f32, e.at(cos, at), true);
          Value s = e.load(e.f32, e.at(sin, at), true);
          Value x = e.toF32(a), y = e.toF32(b);
          return {e.fromF32(e.fsub(e.fmul(x, c), e.fmul(y, s)), o.type),
                  e.fromF32(e.fadd(e.fmul(x, s), e.fmul(y, c)), o.type)};
        },
        [&]() -> Values { return {a, b}; });
    store(result[0], result[1]);
  });
  return e.finish();
}
