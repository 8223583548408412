//===- GemmTest.cpp - Matrix products on tensor cores
//-----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProductCheck.h"
#include "nibble/Quantizer/Codebook.h"
#include "gtest/gtest.h"

using namespace nibble;
using namespace nibble::codegen::cuda;
using namespace nibble::test;

/// Weights are made in the type of the input: the scale, the product, and
/// what float zeros and minimums add are rounded.
static double getWeightError(const GemmKernelOptions &options) {
  if (options.isByte())
    return 0;
  double unit = options.input == FloatKind::F16 ? std::ldexp(1.0, -11)
                                                : std::ldexp(1.0, -8);
  bool isFloat = options.weight.zero == ZeroKind::Float ||
                 options.weight.zero == ZeroKind::Minimum;
  // Minimums cancel: the parts are larger than the weight.
  return unit * (isFloat ? 8 : 2.02);
}

static void check(const GemmKernelOptions &options, int64_t rows) {
  ASSERT_EQ(getGemmObstacle(options), "");
  SplitSumKernelOptions sum;
  sum.n = options.weight.layout.n;
  sum.splits = options.splits;
  sum.output = options.output;
  sum.epilogue = options.epilogue;
  auto machine =
      makeMachine([&](mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
        buildGemmKernel(builder, module, options);
        if (options.splits > 1)
          buildSplitSumKernel(builder, module, sum);
      });
  ASSERT_TRUE(machine);
  ProductCheck product(options.weight, options.input, options.output,
                       options.epilogue, rows, options.inputZeros);
  product.lend(*machine);
  if (options.splits == 1) {
    launch(*machine, options.name, getGemmLaunch(options, rows),
           product.getArguments());
  } else {
    FloatBuffer workspace(FloatKind::F32, options.splits * rows * sum.n);
    for (size_t i = 0; i < workspace.size(); ++i)
      workspace.set(i, NAN);
    workspace.lend(*machine, true);
    std::vector<uint64_t> arguments = product.getOperands();
    arguments.push_back(workspace.address());
    arguments.push_back(uint64_t(rows));
    launch(*machine, options.name, getGemmLaunch(options, rows), arguments);
    arguments = product.getResults();
    arguments.insert(arguments.begin(), workspace.address());
    launch(*machine, sum.name, getSplitSumLaunch(sum, rows), arguments);
  }
  product.compare(getWeightError(options));
}

static GemmKernelOptions makeOptions(int64_t n, int64_t k, unsigned bits,
                                     int64_t group) {
  GemmKernelOptions options;
  options.weight = makeWeight(n, k, bits, group);
  options.rowsPerBlock = 16;
  options.panelsPerBlock = 2;
  options.stages = 3;
  return options;
}

TEST(Gemm, SchemesOfHalves) {
  for (FloatKind type : {FloatKind::F16, FloatKind::BF16})
    for (unsigned bits : {2u, 3u, 4u, 8u})
      for (ZeroKind zero : {ZeroKind::None, ZeroKind::Integer, ZeroKind::Float,
                            ZeroKind::Minimum}) {
        SCOPED_TRACE(std::to_string(int(type)) + ": " + std::to_string(bits) +
                     " bits, zero " + std::to_string(int(zero)));
        GemmKernelOptions options = makeOptions(50, 264, bits, 128);
        options.weight.zero = zero;
        options.input = options.output = type;
        check(options, 13);
      }
}

TEST(Gemm, Groups) {
  for (int64_t group : {0, 16, 32, 48, 64, 96, 256}) {
    SCOPED_TRACE("group " + std::to_string(group));
    GemmKernelOptions options = makeOptions(64, 448, 4, group);
    options.weight.zero = ZeroKind::Integer;
    check(options, 16);
  }
}

TEST(Gemm, RowsAndBlocks) {
  for (int64_t perBlock : {16, 32, 64, 128})
    for (int64_t panels : {1, 4}) {
      SCOPED_TRACE(std::to_string(perBlock) + " rows, " +
                   std::to_string(panels) + " panels");
      GemmKernelOptions options = makeOptions(96, 128, 4, 64);
      options.rowsPerBlock = perBlock;
      options.panelsPerBlock = panels;
      check(options, perBlock + 5);
    }
}

TEST(Gemm, OddDepths) {
  // Copies of 16, 8 and 4 bytes, and less tiles than stages.
  for (int64_t k : {8, 64, 72, 100, 130, 250}) {
    SCOPED_TRACE("depth " + std::to_string(k));
    check(makeOptions(33, k, 4, 32), 3);
  }
}

TEST(Gemm, Splits) {
  for (int64_t splits : {2, 3, 5}) {
    GemmKernelOptions options = makeOptions(65, 448, 4, 128);
    options.splits = splits;
    options.epilogue.bias = true;
    options.epilogue.activation = Activation::Silu;
    options.epilogue.residual = true;
    check(options, 7);
  }
}

TEST(Gemm, Codebooks) {
  for (quantizer::Codebook codebook :
       {quantizer::Codebook::NF4, quantizer::Codebook::FP4}) {
    GemmKernelOptions options = makeOptions(40, 192, 4, 64);
    options.weight.table = quantizer::getCodebookValues(codebook);
    options.weight.scale = FloatKind::F32;
    options.output = FloatKind::F32;
    check(options, 10);
  }
}

TEST(Gemm, EpilogueInVectorsAndOneByOne) {
  for (int64_t n : {64, 60, 61}) {
    GemmKernelOptions options = makeOptions(n, 128, 4, 128);
    options.epilogue.bias = true;
    options.epilogue.activation = Activation::Gelu;
    options.epilogue.residual = true;
    options.output = n == 60 ? FloatKind::F32 : FloatKind::F16;
    check(options, 9);
  }
}

TEST(Gemm, Bytes) {
  for (auto [bits, group, zero] :
       {std::tuple<unsigned, int64_t, ZeroKind>{8, 0, ZeroKind::None},
        {8, 128, ZeroKind::None},
        {4, 0, ZeroKind::None},
        {4, 32, ZeroKind::None},
        {4, 128, ZeroKind::Integer},
        {4, 0, ZeroKind::Integer},
        {2, 96, ZeroKind::Integer}})
    for (int64_t k : {128, 336, 340}) {
      SCOPED_TRACE(std::to_string(bits) + " bits, group " +
                   std::to_string(group) + ", depth " + std::to_string(k));
      GemmKernelOptions options = makeOptions(72, k, bits, group);
      options.weight.layout.fragment = Fragment::Byte;
      options.weight.zero = zero;
      options.output = FloatKind::F32;
      options.rowsPerBlock = 32;
      check(options, 21);
    }
}

TEST(Gemm, UnsignedBytesWithZeroPoints) {
  for (unsigned bits : {8, 4})
    for (int64_t n : {72, 61}) {
      GemmKernelOptions options = makeOptions(n, 336, bits, 0);
      options.weight.layout.fragment = Fragment::Byte;
      options.inputZeros = true;
      options.epilogue.bias = true;
      options.splits = bits == 4 ? 3 : 1;
      check(options, 19);
    }
}

TEST(Gemm, Obstacles) {
  GemmKernelOptions options = makeOptions(64, 128, 4, 24);
  EXPECT_NE(getGemmObstacle(options), "");
  options = makeOptions(64, 129, 4, 32);
  EXPECT_NE(getGemmObstacle(options), "");
  options = makeOptions(64, 128, 8, 32);
  options.weight.layout.fragment = Fragment::Byte;
  EXPECT_EQ(getGemmObstacle(options), "");
  options.inputZeros = true;
  EXPECT_NE(getGemmObstacle(options), "");
  options.inputZeros = false;
  options.weight.zero = ZeroKind::Integer;
  EXPECT_NE(getGemmObstacle(options), "");
}
