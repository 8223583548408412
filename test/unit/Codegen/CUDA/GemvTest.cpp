//===- GemvTest.cpp - Matrix-vector kernels for CUDA
//------------------------===//
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

/// Builds the kernel, runs it for `rows` rows and compares with float64.
static void check(const GemvKernelOptions &options, int64_t rows) {
  auto machine =
      makeMachine([&](mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
        buildGemvKernel(builder, module, options);
      });
  ASSERT_TRUE(machine);
  ProductCheck product(options.weight, options.input, options.output,
                       options.epilogue, rows);
  product.lend(*machine);
  launch(*machine, options.name, getGemvLaunch(options, rows),
         product.getArguments());
  product.compare(0);
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
       {Activation::None, Activation::Relu, Activation::Clip6,
        Activation::Sigmoid, Activation::Silu, Activation::Gelu,
        Activation::GeluTanh, Activation::Tanh, Activation::HardSwish})
    for (bool residual : {false, true}) {
      SCOPED_TRACE(stringifyActivation(activation).str());
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
