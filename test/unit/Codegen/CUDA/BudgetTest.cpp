//===- BudgetTest.cpp - Registers and shared memory of CUDA kernels -------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What ptxas says of the kernels: accepted, no spills, registers that let
// enough warps run. Without ptxas these tests are skipped.
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"
#include "nibble/Quantizer/Codebook.h"
#include "gtest/gtest.h"

using namespace nibble;
using namespace nibble::codegen::cuda;
using namespace nibble::test;

/// Builds a kernel for each chip and checks what ptxas makes of it.
static void checkBudget(
    llvm::function_ref<void(mlir::OpBuilder &, mlir::gpu::GPUModuleOp)> build,
    int64_t maxRegisters) {
  for (llvm::StringRef chip : {"sm_80", "sm_90"}) {
    KernelModule module;
    mlir::OpBuilder builder = module.builder();
    build(builder, module.get());
    auto ptx = module.toPtx(chip);
    ASSERT_TRUE(bool(ptx)) << llvm::toString(ptx.takeError());
    PtxasReport report = runPtxas(*ptx, chip);
    if (!report.found)
      GTEST_SKIP() << "ptxas was not found in PATH or /usr/local/cuda/bin";
    ASSERT_TRUE(report.accepted) << report.output;
    EXPECT_EQ(report.spillBytes, 0) << report.output;
    EXPECT_GT(report.registers, 0) << report.output;
    EXPECT_LE(report.registers, maxRegisters) << report.output;
  }
}

TEST(Budget, Gemv) {
  struct Case {
    unsigned bits;
    ZeroKind zero;
    int64_t rows;
    FloatKind type;
    bool nf4;
    int64_t maxRegisters;
  };
  // 128 registers leave two blocks of eight warps on a processor; eight rows
  // take more, and a block is alone.
  for (Case c : {Case{4, ZeroKind::None, 1, FloatKind::F16, false, 128},
                 Case{4, ZeroKind::Integer, 1, FloatKind::BF16, false, 128},
                 Case{4, ZeroKind::None, 4, FloatKind::F16, false, 128},
                 Case{4, ZeroKind::None, 8, FloatKind::F32, false, 224},
                 Case{4, ZeroKind::None, 1, FloatKind::F16, true, 128},
                 Case{3, ZeroKind::Integer, 1, FloatKind::F16, false, 128},
                 Case{2, ZeroKind::Minimum, 1, FloatKind::F16, false, 128},
                 Case{8, ZeroKind::None, 1, FloatKind::F16, false, 128}}) {
    SCOPED_TRACE(std::to_string(c.bits) + " bits, " + std::to_string(c.rows) +
                 " rows");
    GemvKernelOptions options;
    options.weight.layout.n = options.weight.layout.k = 4096;
    options.weight.layout.bits = c.bits;
    options.weight.group = 128;
    options.weight.zero = c.zero;
    if (c.nf4)
      options.weight.table =
          quantizer::getCodebookValues(quantizer::Codebook::NF4);
    options.input = options.output = c.type;
    options.rowsPerBlock = c.rows;
    checkBudget(
        [&](mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
          buildGemvKernel(builder, module, options);
        },
        c.maxRegisters);
  }
}

TEST(Budget, Gemm) {
  struct Case {
    unsigned bits;
    FloatKind type;
    Fragment fragment;
    int64_t rows, maxRegisters;
  };
  // 168 registers leave three blocks of four warps on a processor.
  for (Case c : {Case{4, FloatKind::F16, Fragment::Half, 16, 128},
                 Case{4, FloatKind::F16, Fragment::Half, 64, 168},
                 Case{4, FloatKind::BF16, Fragment::Half, 128, 168},
                 Case{3, FloatKind::F16, Fragment::Half, 64, 168},
                 Case{8, FloatKind::BF16, Fragment::Half, 64, 168},
                 Case{8, FloatKind::F16, Fragment::Byte, 64, 168},
                 Case{4, FloatKind::F16, Fragment::Byte, 64, 224}}) {
    SCOPED_TRACE(std::to_string(c.bits) + " bits, " + std::to_string(c.rows) +
                 " rows");
    GemmKernelOptions options;
    options.weight.layout.n = options.weight.layout.k = 4096;
    options.weight.layout.bits = c.bits;
    options.weight.layout.fragment = c.fragment;
    options.weight.group =
        c.fragment == Fragment::Byte && c.bits == 8 ? 0 : 128;
    options.input = c.type;
    options.rowsPerBlock = c.rows;
    // What sm_80 has for a block, the smallest of the chips of a server.
    EXPECT_LE(getGemmLaunch(options, 512).sharedBytes, 163 * 1024);
    checkBudget(
        [&](mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
          buildGemmKernel(builder, module, options);
        },
        c.maxRegisters);
  }
}

TEST(Budget, RowsAndAttention) {
  RowKernelOptions row;
  row.n = 4096;
  row.weight = row.addend = true;
  checkBudget(
      [&](mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
        buildRowKernel(builder, module, row);
      },
      64);
  AttentionKernelOptions attention;
  attention.heads = 32;
  attention.keyHeads = 8;
  attention.headSize = 128;
  attention.splits = 4;
  checkBudget(
      [&](mlir::OpBuilder &builder, mlir::gpu::GPUModuleOp module) {
        buildAttentionKernel(builder, module, attention);
      },
      128);
}
