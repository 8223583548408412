//===- Pipelines.cpp - The phases as pass pipelines -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/Pipelines.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "nibble/Codegen/CUDA/Passes.h"
#include "nibble/Target/Passes.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace nibble;

/// Adds a textual pipeline. Ours name passes that are always registered.
static void add(OpPassManager &passes, const Twine &pipeline) {
  SmallString<256> storage;
  std::string message;
  llvm::raw_string_ostream errors(message);
  if (failed(parsePassPipeline(pipeline.toStringRef(storage), passes, errors)))
    llvm::report_fatal_error(Twine("pipeline does not parse: ") + message);
}

/// An option of a pass, or nothing without a path; paths may hold blanks.
static std::string getPathOption(StringRef option, const std::string &path) {
  return path.empty() ? std::string()
                      : (" " + option + "='" + path + "'").str();
}

void nibble::buildOnnxPipeline(OpPassManager &passes,
                               const OnnxPipelineOptions &options) {
  // Decomposition needs ranks and leaves types open.
  add(passes, "onnx-normalize-opset,onnx-infer-shapes,onnx-decompose-microsoft,"
              "onnx-infer-shapes,canonicalize,cse");
  // Forms are found where equal values are one, and give more precise types.
  if (options.fuseOperators)
    add(passes, "func.func(onnx-fuse-activation,onnx-fuse-normalization,"
                "onnx-fuse-rotary,onnx-fuse-attention),onnx-infer-shapes,"
                "canonicalize,cse");
}

void nibble::buildStaticPipeline(OpPassManager &passes,
                                 const StaticPipelineOptions &options) {
  std::string calibration = getPathOption("calibration", options.calibration);
  std::string config = getPathOption("config", options.config);
  if (options.equalize)
    add(passes, "onnx-equalize-layers{scheme=" + options.scheme + calibration +
                    config + "}");
  add(passes, llvm::formatv("onnx-insert-quantization{{scheme={0} method={1} "
                            "symmetric={2} scale-rule={3} activation-type={4} "
                            "activation-symmetric={5} minimum-sqnr={6}{7}{8}}",
                            options.scheme, options.method, options.symmetric,
                            options.scaleRule, options.activationType,
                            options.activationSymmetric, options.minimumSQNR,
                            calibration, config)
                  .str());
  add(passes, llvm::formatv("onnx-correct-bias{{enable={0}{1}},canonicalize",
                            options.biasCorrection, calibration)
                  .str());
}

void nibble::buildNibblePipeline(OpPassManager &passes) {
  add(passes, "onnx-lower-sequences,func.func(onnx-propagate-quantization,"
              "convert-onnx-integers-to-nibble,convert-onnx-to-nibble),"
              "convert-onnx-to-linalg,canonicalize,cse");
}

void nibble::buildAssignPipeline(OpPassManager &passes,
                                 const QuantizePipelineOptions &options) {
  std::string text =
      llvm::formatv("nibble-assign-schemes{{scheme={0} method={1} "
                    "group-size={2} symmetric={3} scale-type={4} "
                    "scale-rule={5} head={6} double-quant={7} "
                    "outlier-threshold={8}",
                    options.scheme, options.method, options.groupSize,
                    options.symmetric, options.scaleType, options.scaleRule,
                    options.head, options.doubleQuant, options.outlierThreshold)
          .str();
  add(passes, text + getPathOption("candidates", options.candidates) +
                  getPathOption("config", options.config) + "}");
  add(passes, "nibble-choose-schemes{" + options.choose.getValue() +
                  getPathOption("calibration", options.calibration) + "}");
}

void nibble::buildQuantizePipeline(
    OpPassManager &passes, const QuantizePipelineOptions &options,
    llvm::function_ref<void(OpPassManager &)> methods) {
  buildAssignPipeline(passes, options);
  if (methods)
    methods(passes);
  std::string calibration = getPathOption("calibration", options.calibration);
  // Where a method runs the model, layers of others are served on the way.
  if (options.calibration.empty())
    add(passes, "nibble-quantize-blocks{" + options.gptq.getValue() + " " +
                    options.scales.getValue() + "}");
  add(passes,
      "nibble-search-scales{" + options.scales.getValue() + calibration + "}");
  add(passes,
      "nibble-quantize-autoround{" + options.autoRound.getValue() + "}");
  add(passes,
      "nibble-quantize-gptq{" + options.gptq.getValue() + calibration + "}");
  add(passes, llvm::formatv("nibble-quantize-rtn,nibble-quantize-hqq,"
                            "nibble-quantize-imatrix{{{0}},func.func("
                            "nibble-fuse-dequantize),canonicalize,cse",
                            calibration)
                  .str());
  add(passes,
      llvm::formatv("func.func(nibble-verify-quantized{{allow-unfused={0}})",
                    options.allowUnfused)
          .str());
}

void nibble::buildLinalgPipeline(OpPassManager &passes) {
  add(passes, "func.func(nibble-quantize-activations,nibble-sort-groups,"
              "nibble-pack-weights,convert-nibble-to-linalg),"
              "func.func(nibble-fold-transposes,"
              "nibble-fuse-dequantized-inputs,nibble-fuse-elementwise),"
              "canonicalize,cse,"
              "func.func(nibble-share-caches)");
}

void nibble::buildVectorPipeline(OpPassManager &passes,
                                 const codegen::CpuTarget &target, bool cuda) {
  // Only the entry is called from outside; kernels come later.
  passes.addNestedPass<func::FuncOp>(LLVM::createLLVMRequestCWrappersPass());
  codegen::populateBufferizationPipeline(passes);
  if (cuda) {
    // Layers are those of the model, not the launches that they become; and
    // which weights are the device's is known when there are launches.
    passes.addPass(target::createNibbleInstrumentLayers());
    codegen::cuda::populateCudaPipeline(passes);
    passes.addPass(target::createNibblePlaceWeights());
  } else {
    passes.addPass(target::createNibblePlaceWeights());
    passes.addPass(target::createNibbleInstrumentLayers());
  }
  codegen::populateKernelPipeline(passes, target);
}

void nibble::buildLLVMPipeline(OpPassManager &passes, StringRef chips) {
  if (!chips.empty()) {
    codegen::cuda::populateNVVMPipeline(passes);
    target::NibbleSerializeKernelsOptions serialize;
    serialize.chips = chips.str();
    passes.addPass(target::createNibbleSerializeKernels(serialize));
  }
  codegen::populateVectorToLLVMPipeline(passes);
}

void nibble::registerPipelines() {
  PassPipelineRegistration<OnnxPipelineOptions>(
      "nibble-onnx-pipeline",
      "Phase onnx: newest opset, shapes, constants, fused forms",
      buildOnnxPipeline);
  PassPipelineRegistration<StaticPipelineOptions>(
      "nibble-static-pipeline",
      "The end of phase onnx: W8A8 layers between Q and DQ",
      buildStaticPipeline);
  PassPipelineRegistration<>(
      "nibble-legalize-pipeline",
      "Phase nibble: quantizable operations, the rest to linalg",
      buildNibblePipeline);
  PassPipelineRegistration<QuantizePipelineOptions>(
      "nibble-quantize-pipeline", "Phase quantized: codes instead of weights",
      [](OpPassManager &passes, const QuantizePipelineOptions &options) {
        buildQuantizePipeline(passes, options);
      });
  PassPipelineRegistration<>("nibble-linalg-pipeline",
                             "Phase linalg: packed weights, fused loops",
                             buildLinalgPipeline);
  PassPipelineRegistration<VectorPipelineOptions>(
      "nibble-vector-pipeline", "Phase vector: buffers and generated kernels",
      [](OpPassManager &passes, const VectorPipelineOptions &options) {
        buildVectorPipeline(
            passes, {options.avx512, options.fma, options.vnni, options.tiles},
            options.cuda);
      });
  PassPipelineRegistration<LLVMPipelineOptions>(
      "nibble-llvm-pipeline", "Phase llvm: the LLVM dialect with OpenMP",
      [](OpPassManager &passes, const LLVMPipelineOptions &options) {
        buildLLVMPipeline(passes, options.chips);
      });
}
