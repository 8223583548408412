//===- Pipelines.cpp - The way from buffers to NVVM -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CUDA/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace nibble::codegen::cuda {

void populateCudaPipeline(OpPassManager &pm) {
  pm.addPass(createConvertNibbleToCudaPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createNibbleUseOnHostPass());
}

void populateNVVMPipeline(OpPassManager &pm) {
  pm.addPass(createNibbleLowerLaunchesPass());
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  kernels.addPass(memref::createExpandStridedMetadataPass());
  kernels.addPass(createLowerAffinePass());
  kernels.addPass(arith::createArithExpandOpsPass());
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(createConvertNVGPUToNVVMPass());
  kernels.addPass(createConvertGpuOpsToNVVMOps());
  kernels.addPass(createConvertVectorToLLVMPass());
  kernels.addPass(createArithToLLVMConversionPass());
  kernels.addPass(createConvertNVVMToLLVMPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
}

void registerCodegenCUDA() {
  registerCodegenCUDAPasses();
  PassPipelineRegistration<>("nibble-lower-to-cuda",
                             "Buffers to kernels and what the host does",
                             populateCudaPipeline);
  PassPipelineRegistration<>("nibble-lower-to-nvvm",
                             "Kernels to NVVM, launches to calls",
                             populateNVVMPipeline);
}

} // namespace nibble::codegen::cuda
