//===- Pipelines.cpp - The way from tensors to LLVM -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Codegen/CPU/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace nibble::codegen {

void populateBufferizationPipeline(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createNibblePlaceCachesPass());
  pm.addPass(createNibbleProtectInputsPass());
  pm.addNestedPass<func::FuncOp>(createNibbleReuseInputsPass());
  pm.addNestedPass<func::FuncOp>(createNibbleSplitFillsPass());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  options.allowReturnAllocsFromLoops = true;
  options.bufferAlignment = 64;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(bufferization::createBufferLoopHoistingPass());

  pm.addPass(memref::createExpandReallocPass());
  pm.addPass(bufferization::createOwnershipBasedBufferDeallocationPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(bufferization::createBufferDeallocationSimplificationPass());
  pm.addPass(bufferization::createLowerDeallocationsPass());
  // Results that are inputs were cloned: the caller owns all results.
  pm.addPass(createConvertBufferizationToMemRefPass());
  pm.addPass(createCSEPass());
  pm.addPass(createCanonicalizerPass());
  pm.addNestedPass<func::FuncOp>(
      bufferization::createOptimizeAllocationLivenessPass());
  pm.addNestedPass<func::FuncOp>(createNibbleSkipOutliersPass());
}

void populateKernelPipeline(OpPassManager &pm, const CpuTarget &target) {
  ConvertNibbleToKernelsPassOptions options;
  options.avx512 = target.avx512;
  options.fma = target.fma;
  options.vnni = target.vnni;
  options.tiles = target.tiles;
  pm.addPass(createConvertNibbleToKernelsPass(options));
  // What is equal in many layers is lowered and compiled once.
  pm.addPass(createNibbleOutlineLoopsPass());
  NibbleLowerLinalgToLoopsPassOptions loops;
  loops.avx512 = target.avx512;
  loops.fma = target.fma;
  pm.addNestedPass<func::FuncOp>(createNibbleLowerLinalgToLoopsPass(loops));
  pm.addNestedPass<func::FuncOp>(createNibbleApproximateMathPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void populateVectorToLLVMPipeline(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createConvertVectorToSCFPass());
  pm.addPass(createNibbleLowerExpandShapePass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(arith::createArithExpandOpsPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  // These two simplify regions, which must not happen any more once branches
  // are LLVM's and values are not.
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertSCFToOpenMPPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createNibbleTuneOpenMPPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createNibbleLowerAssertPass());
  pm.addPass(createNibbleLowerCachesPass());
  pm.addPass(createNibbleLowerObservePass());
  // Before OpenMP's conversion, which would take memory from malloc instead.
  FinalizeMemRefToLLVMConversionPassOptions memory;
  memory.useAlignedAlloc = true;
  memory.useGenericFunctions = true;
  pm.addPass(createFinalizeMemRefToLLVMConversionPass(memory));
  pm.addPass(createConvertOpenMPToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createNibbleAnnotateKernelsPass());
}

namespace {

struct KernelPipelineOptions
    : public PassPipelineOptions<KernelPipelineOptions> {
  Option<bool> avx512{*this, "avx512", llvm::cl::init(true),
                      llvm::cl::desc("The CPU has AVX-512 F, BW, DQ and VL")};
  Option<bool> fma{*this, "fma", llvm::cl::init(true),
                   llvm::cl::desc("The CPU has fused multiply-add")};
  Option<bool> vnni{*this, "vnni", llvm::cl::init(false),
                    llvm::cl::desc("The CPU has VNNI")};
  Option<bool> tiles{*this, "tiles", llvm::cl::init(false),
                     llvm::cl::desc("Products in AMX tiles of bf16")};
};

} // namespace

void registerCodegenCPU() {
  registerCodegenCPUPasses();
  PassPipelineRegistration<>("nibble-bufferize",
                             "Tensors to buffers that are freed early",
                             populateBufferizationPipeline);
  PassPipelineRegistration<KernelPipelineOptions>(
      "nibble-lower-to-vector", "Buffers to vector code",
      [](OpPassManager &pm, const KernelPipelineOptions &options) {
        populateKernelPipeline(
            pm, {options.avx512, options.fma, options.vnni, options.tiles});
      });
  PassPipelineRegistration<>("nibble-lower-to-llvm",
                             "Vector code to the LLVM dialect",
                             populateVectorToLLVMPipeline);
}

} // namespace nibble::codegen
