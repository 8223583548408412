//===- GemvTest.cpp - Matrix-vector kernels for CUDA
//------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"
#include "nibble/Quantizer/Codebook.h"
#include "gtest/gtest.h"

using namespace nibble;
using namespace nibble::codegen::cuda;
using namespace nibble::test;

static double activate(Activation activation, double x) {
  switch (activation) {
  case Activation::None:
    return x;
  case Activation::Silu:
    return x / (1 + std::exp(-x));
  case Activation::Gelu:
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  default:
    return std::fmax(x, 0);
  }
}

static KernelWeight makeWeight(int64_t n, int64_t k, unsigned bits,
                               int64_t group) {
  KernelWeight weight;
  weight.layout.n = n;
  weight.layout.k = k;
  weight.layout.bits = bits;
  weight.group = group;
  return weight;
}

/// Builds the kernel, runs it for `rows` rows and compares with float64.
static void check(const GemvKernelOptions &options, int64_t rows) {
  KernelModule module;
  mlir::OpBuilder builder = module.builder();
  buildGemvKernel(builder, module.get(), options);
  auto ptx = module.toPtx("sm_80");
  ASSERT_TRUE(bool(ptx)) << llvm::toString(ptx.takeError());
  auto parsed = PtxModule::parse(*ptx);
  ASSERT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
  PtxMachine machine(std::move(*parsed));

  std::mt19937 random(7);
  const WeightLayout &layout = options.weight.layout;
  int64_t n = layout.n, k = layout.k;
  RandomWeight weight(options.weight, random);
  weight.lend(machine);
  FloatBuffer input(options.input, rows * k), bias(FloatKind::F32, n),
      residual(options.output, rows * n), output(options.output, rows * n);
  input.fill(random, -1, 1);
  bias.fill(random, -1, 1);
  residual.fill(random, -1, 1);
  for (size_t i = 0; i < output.size(); ++i)
    output.set(i, NAN);
  input.lend(machine, false);
  bias.lend(machine, false);
  residual.lend(machine, false);
  output.lend(machine, true);

  std::vector<uint64_t> arguments = {
      reinterpret_cast<uint64_t>(weight.packed.data()),
      reinterpret_cast<uint64_t>(weight.packedScales.data())};
  if (options.weight.zero != ZeroKind::None)
    arguments.push_back(reinterpret_cast<uint64_t>(weight.packedZeros.data()));
  arguments.push_back(input.address());
  if (options.epilogue.bias)
    arguments.push_back(bias.address());
  if (options.epilogue.residual)
    arguments.push_back(residual.address());
  arguments.push_back(output.address());
  arguments.push_back(uint64_t(rows));
  LaunchShape shape = getGemvLaunch(options, rows);
  llvm::Error failure = machine.launch(
      options.name, {shape.grid[0], shape.grid[1], shape.grid[2]},
      {shape.block[0], shape.block[1], shape.block[2]}, shape.sharedBytes,
      arguments);
  ASSERT_FALSE(bool(failure)) << llvm::toString(std::move(failure));
  EXPECT_EQ(machine.statistics.sharedPasses, machine.statistics.sharedAccesses);

  for (int64_t row = 0; row < rows; ++row)
    for (int64_t channel = 0; channel < n; ++channel) {
      double sum = 0, size = 0;
      for (int64_t i = 0; i < k; ++i) {
        double x = input.get(row * k + i);
        sum += x * weight.values[channel * k + i];
        size += std::fabs(x * weight.values[channel * k + i]);
      }
      if (options.epilogue.bias)
        sum += bias.get(channel);
      double expected = activate(options.epilogue.activation, sum);
      if (options.epilogue.residual)
        expected += residual.get(row * n + channel);
      // Sums of f32 that are some times as large as what is left of them.
      double bound = 4e-6 * (size + std::fabs(sum) + 0.1) +
                     roundingError(options.output, std::fabs(expected) * 1.01);
      ASSERT_NEAR(output.get(row * n + channel), expected, bound)
          << "row " << row << " channel " << channel;
    }
}

TEST(Gemv, SchemesAndOddShapes) {
  for (unsigned bits : {2u, 3u, 4u, 8u})
    for (ZeroKind zero : {ZeroKind::None, ZeroKind::Integer, ZeroKind::Float,
                          ZeroKind::Minimum}) {
      SCOPED_TRACE(std::to_string(bits) + " bits, zero " +
                   std::to_string(int(zero)));
      GemvKernelOptions options;
      options.weight = makeWeight(50, 330, bits, 128);
      options.weight.zero = zero;
      options.warps = 4;
      check(options, 1);
    }
}

TEST(Gemv, Groups) {
  for (int64_t group : {0, 16, 32, 48, 64, 96, 256}) {
    SCOPED_TRACE("group " + std::to_string(group));
    GemvKernelOptions options;
    options.weight = makeWeight(32, 448, 4, group);
    options.weight.zero = ZeroKind::Integer;
    options.warps = 2;
    check(options, 1);
  }
}

TEST(Gemv, RowsInBlocks) {
  for (int64_t perBlock : {1, 2, 4, 8}) {
    SCOPED_TRACE(std::to_string(perBlock) + " rows in a block");
    GemvKernelOptions options;
    options.weight = makeWeight(36, 192, 4, 64);
    options.rowsPerBlock = perBlock;
    options.warps = 3;
    check(options, 5);
  }
}

TEST(Gemv, TypesOfActivationsAndScales) {
  for (FloatKind input : {FloatKind::F32, FloatKind::F16, FloatKind::BF16})
    for (FloatKind scale : {FloatKind::F32, FloatKind::F16, FloatKind::BF16}) {
      SCOPED_TRACE(std::to_string(int(input)) + " " +
                   std::to_string(int(scale)));
      GemvKernelOptions options;
      options.weight = makeWeight(33, 129, 4, 32);
      options.weight.scale = scale;
      options.input = input;
      options.output = input;
      options.warps = 2;
      check(options, 2);
    }
}

TEST(Gemv, CodebooksOfFourBits) {
  for (quantizer::Codebook codebook :
       {quantizer::Codebook::NF4, quantizer::Codebook::FP4})
    for (int64_t warps : {1, 3, 16}) {
      GemvKernelOptions options;
      options.weight = makeWeight(40, 320, 4, 64);
      options.weight.table = quantizer::getCodebookValues(codebook);
      options.weight.scale = FloatKind::F32;
      options.warps = warps;
      check(options, 1);
    }
}

TEST(Gemv, Epilogue) {
  for (Activation activation :
       {Activation::None, Activation::Relu, Activation::Silu, Activation::Gelu})
    for (bool residual : {false, true}) {
      GemvKernelOptions options;
      options.weight = makeWeight(64, 128, 4, 128);
      options.epilogue.bias = true;
      options.epilogue.activation = activation;
      options.epilogue.residual = residual;
      options.output = FloatKind::F32;
      options.warps = 2;
      check(options, 2);
    }
}
