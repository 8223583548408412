//===- RowTest.cpp - Norms, softmax and rotary embedding on CUDA
//------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProductCheck.h"
#include "gtest/gtest.h"

using namespace nibble;
using namespace nibble::codegen::cuda;
using namespace nibble::test;

static std::vector<double> evaluate(const RowKernelOptions &o,
                                    std::vector<double> x,
                                    const FloatBuffer &weight,
                                    const FloatBuffer &bias) {
  double sum = 0, squares = 0, most = x[0], weights = 0;
  for (double value : x) {
    sum += value;
    most = std::fmax(most, value);
  }
  double mean = o.function == RowFunction::LayerNorm ? sum / double(o.n) : 0;
  for (double value : x) {
    squares += (value - mean) * (value - mean);
    weights += std::exp(value - most);
  }
  for (size_t i = 0; i < x.size(); ++i) {
    if (o.function == RowFunction::Softmax)
      x[i] = std::exp(x[i] - most) / weights;
    else
      x[i] = (x[i] - mean) / std::sqrt(squares / double(o.n) + o.epsilon);
    if (o.weight)
      x[i] *= weight.get(i);
    if (o.bias)
      x[i] += bias.get(i);
  }
  return x;
}

static void check(const RowKernelOptions &o, int64_t rows) {
  auto machine =
      makeMachine([&](mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
        buildRowKernel(builder, module, o);
      });
  ASSERT_TRUE(machine);
  std::mt19937 random(3);
  FloatBuffer input(o.input, rows * o.n), addend(o.input, rows * o.n),
      sum(o.input, rows * o.n), weight(FloatKind::F32, o.n),
      bias(FloatKind::F32, o.n), output(o.output, rows * o.n);
  input.fill(random, -3, 4);
  addend.fill(random, -1, 1);
  weight.fill(random, 0, 2);
  bias.fill(random, -1, 1);
  std::vector<uint64_t> arguments = {input.address()};
  if (o.addend) {
    arguments.push_back(addend.address());
    arguments.push_back(sum.address());
  }
  if (o.weight)
    arguments.push_back(weight.address());
  if (o.bias)
    arguments.push_back(bias.address());
  arguments.push_back(output.address());
  arguments.push_back(uint64_t(rows));
  for (const FloatBuffer *buffer : {&input, &addend, &weight, &bias})
    buffer->lend(*machine, false);
  sum.lend(*machine, true);
  output.lend(*machine, true);
  launch(*machine, o.name, getRowLaunch(o, rows), arguments);

  for (int64_t row = 0; row < rows; ++row) {
    std::vector<double> x;
    for (int64_t i = 0; i < o.n; ++i) {
      x.push_back(input.get(row * o.n + i));
      if (!o.addend)
        continue;
      double exact = x.back() + addend.get(row * o.n + i);
      ASSERT_NEAR(sum.get(row * o.n + i), exact,
                  roundingError(o.input, std::fabs(exact) * 1.01));
      x.back() = sum.get(row * o.n + i);
    }
    std::vector<double> expected = evaluate(o, x, weight, bias);
    for (int64_t i = 0; i < o.n; ++i)
      ASSERT_NEAR(output.get(row * o.n + i), expected[i],
                  2e-6 * (std::fabs(expected[i]) + 1) +
                      roundingError(o.output, std::fabs(expected[i]) * 1.01))
          << "row " << row << " element " << i;
  }
}

TEST(Row, FunctionsTypesAndShapes) {
  for (RowFunction function :
       {RowFunction::RMSNorm, RowFunction::LayerNorm, RowFunction::Softmax})
    for (FloatKind type : {FloatKind::F32, FloatKind::F16, FloatKind::BF16})
      for (int64_t n : {1, 64, 577, 1032}) {
        SCOPED_TRACE(std::to_string(int(function)) + " of " +
                     std::to_string(n));
        RowKernelOptions options;
        options.function = function;
        options.n = n;
        options.input = type;
        options.output = type == FloatKind::BF16 ? FloatKind::F32 : type;
        options.weight = function != RowFunction::Softmax;
        options.bias = function == RowFunction::LayerNorm;
        options.warps = n == 577 ? 1 : 4;
        check(options, 3);
      }
}

TEST(Row, AddendIsAddedAndStored) {
  for (int64_t n : {576, 130}) {
    RowKernelOptions options;
    options.n = n;
    options.addend = options.weight = true;
    check(options, 2);
  }
}

TEST(Rotary, PairsAndRest) {
  for (bool interleaved : {false, true})
    for (int64_t rotated : {16, 8})
      for (FloatKind type : {FloatKind::F32, FloatKind::F16}) {
        RotaryKernelOptions o;
        o.heads = 3;
        o.headSize = 16;
        o.rotated = rotated;
        o.interleaved = interleaved;
        o.type = type;
        auto machine = makeMachine(
            [&](mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
              buildRotaryKernel(builder, module, o);
            });
        ASSERT_TRUE(machine);
        const int64_t rows = 4, width = o.heads * o.headSize;
        std::mt19937 random(5);
        FloatBuffer input(type, rows * width), output(type, rows * width),
            cos(FloatKind::F32, 10 * rotated / 2),
            sin(FloatKind::F32, 10 * rotated / 2);
        input.fill(random, -1, 1);
        cos.fill(random, -1, 1);
        sin.fill(random, -1, 1);
        std::vector<int64_t> positions = {7, 0, 9, 3};
        for (const FloatBuffer *buffer : {&input, &cos, &sin})
          buffer->lend(*machine, false);
        machine->lend(positions.data(), positions.size() * 8, false);
        output.lend(*machine, true);
        launch(*machine, o.name, getRotaryLaunch(o, rows),
               {input.address(), cos.address(), sin.address(),
                reinterpret_cast<uint64_t>(positions.data()), output.address(),
                uint64_t(rows)});
        for (int64_t row = 0; row < rows; ++row)
          for (int64_t head = 0; head < o.heads; ++head) {
            int64_t base = row * width + head * o.headSize;
            for (int64_t i = rotated; i < o.headSize; ++i)
              ASSERT_EQ(output.get(base + i), input.get(base + i));
            for (int64_t i = 0; i < rotated / 2; ++i) {
              int64_t first = base + (interleaved ? 2 * i : i);
              int64_t second = interleaved ? first + 1 : first + rotated / 2;
              double c = cos.get(positions[row] * rotated / 2 + i);
              double s = sin.get(positions[row] * rotated / 2 + i);
              double x = input.get(first), y = input.get(second);
              ASSERT_NEAR(output.get(first), x * c - y * s,
                          1e-6 + roundingError(type, 1.5));
              ASSERT_NEAR(output.get(second), x * s + y * c,
                          1e-6 + roundingError(type, 1.5));
            }
          }
      }
}
