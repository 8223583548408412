//===- Launch.cpp - Making and launching kernels -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CUDA/Launch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "nibble/Codegen/CUDA/Passes.h"

using namespace mlir;

namespace nibble::codegen::cuda {

/// More blocks than any GPU runs at a time only cost their start.
static constexpr int64_t mostBlocks = 1 << 16;

gpu::GPUFuncOp createKernel(gpu::GPUModuleOp module, Location loc,
                            StringRef name, TypeRange arguments,
                            StringRef access) {
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  auto function =
      gpu::GPUFuncOp::create(b, loc, name, b.getFunctionType(arguments, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function.setKnownBlockSizeAttr(
      b.getDenseI32ArrayAttr({static_cast<int32_t>(threadsPerBlock), 1, 1}));
  function->setAttr(accessAttrName, b.getStringAttr(access));
  return function;
}

GridStride getGridStride(OpBuilder &b, Location loc) {
  Value threads = arith::ConstantIndexOp::create(b, loc, threadsPerBlock);
  Value thread = gpu::ThreadIdOp::create(b, loc, gpu::Dimension::x);
  Value block = gpu::BlockIdOp::create(b, loc, gpu::Dimension::x);
  Value blocks = gpu::GridDimOp::create(b, loc, gpu::Dimension::x);
  Value before = arith::MulIOp::create(b, loc, block, threads);
  return {arith::AddIOp::create(b, loc, before, thread),
          arith::MulIOp::create(b, loc, blocks, threads)};
}

Value getBlocks(OpBuilder &b, Location loc, Value threads) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  threads = b.createOrFold<arith::AddIOp>(loc, threads,
                                          constant(threadsPerBlock - 1));
  Value blocks =
      b.createOrFold<arith::DivUIOp>(loc, threads, constant(threadsPerBlock));
  return b.createOrFold<arith::MinUIOp>(loc, blocks, constant(mostBlocks));
}

void createLaunch(OpBuilder &b, Location loc, gpu::GPUFuncOp kernel,
                  Value blocks, ValueRange arguments) {
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value threads = arith::ConstantIndexOp::create(b, loc, threadsPerBlock);
  gpu::LaunchFuncOp::create(b, loc, kernel, gpu::KernelDim3{blocks, one, one},
                            gpu::KernelDim3{threads, one, one},
                            /*dynamicSharedMemorySize=*/Value(), arguments);
}

} // namespace nibble::codegen::cuda
