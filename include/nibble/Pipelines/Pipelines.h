//===- Pipelines.h - The phases as pass pipelines -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A compilation is a row of phases, each a pass pipeline that is also
// registered under a name (`nibble-onnx-pipeline`, ...), so that nibble-opt
// runs exactly what nibble-compile runs.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_PIPELINES_PIPELINES_H
#define NIBBLE_PIPELINES_PIPELINES_H

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "nibble/Codegen/CPU/Passes.h"

namespace nibble {

/// Options of the phase that works on ONNX operators.
struct OnnxPipelineOptions
    : public mlir::PassPipelineOptions<OnnxPipelineOptions> {
  Option<bool> fuseOperators{
      *this, "fuse-operators",
      llvm::cl::desc("decomposed attention, normalization, rotary embedding "
                     "and activations become operators again"),
      llvm::cl::init(true)};
};

/// Options of the quantizing phase, as on the command line of nibble-compile.
struct QuantizePipelineOptions
    : public mlir::PassPipelineOptions<QuantizePipelineOptions> {
  Option<std::string> scheme{*this, "scheme",
                             llvm::cl::desc("scheme of the weights"),
                             llvm::cl::init("none")};
  Option<std::string> method{*this, "method",
                             llvm::cl::desc("how codes are found"),
                             llvm::cl::init("rtn")};
  Option<int64_t> groupSize{*this, "group-size",
                            llvm::cl::desc("weights that share a scale"),
                            llvm::cl::init(0)};
  Option<bool> symmetric{*this, "symmetric", llvm::cl::desc("no zero points"),
                         llvm::cl::init(true)};
  Option<std::string> scaleType{*this, "scale-type",
                                llvm::cl::desc("type of the scales"),
                                llvm::cl::init("default")};
  Option<bool> doubleQuant{*this, "double-quant",
                           llvm::cl::desc("scales in 8 bits"),
                           llvm::cl::init(false)};
  Option<std::string> scaleRule{*this, "scale-rule",
                                llvm::cl::desc("how a scale is chosen"),
                                llvm::cl::init("default")};
  Option<std::string> outlierThreshold{
      *this, "outlier-threshold",
      llvm::cl::desc("magnitude from which on LLM.int8 has outliers"),
      llvm::cl::init("6")};
  Option<std::string> head{
      *this, "head", llvm::cl::desc("scheme of embedding and output head"),
      llvm::cl::init("none")};
  Option<std::string> candidates{
      *this, "candidates", llvm::cl::desc("schemes that auto chooses from"),
      llvm::cl::init("")};
  Option<std::string> config{*this, "config",
                             llvm::cl::desc("YAML file with rules"),
                             llvm::cl::init("")};
  Option<std::string> calibration{*this, "calibration",
                                  llvm::cl::desc("statistics file"),
                                  llvm::cl::init("")};
  Option<std::string> choose{
      *this, "choose",
      llvm::cl::desc("options of the pass nibble-choose-schemes"),
      llvm::cl::init("")};
  Option<std::string> gptq{
      *this, "gptq", llvm::cl::desc("options of the pass nibble-quantize-gptq"),
      llvm::cl::init("")};
  Option<std::string> scales{
      *this, "scales",
      llvm::cl::desc("options of awq and smoothquant, as of the pass "
                     "nibble-quantize-blocks"),
      llvm::cl::init("")};
  Option<std::string> autoRound{
      *this, "autoround",
      llvm::cl::desc("options of the pass nibble-quantize-autoround"),
      llvm::cl::init("")};
  Option<bool> allowUnfused{
      *this, "allow-unfused",
      llvm::cl::desc("unfused weights are a remark, not an error"),
      llvm::cl::init(false)};
};

/// Options of static quantization, which ends the phase that works on ONNX
/// operators.
struct StaticPipelineOptions
    : public mlir::PassPipelineOptions<StaticPipelineOptions> {
  Option<std::string> scheme{*this, "scheme",
                             llvm::cl::desc("scheme of layers without a rule"),
                             llvm::cl::init("none")};
  Option<std::string> method{*this, "method",
                             llvm::cl::desc("how codes are found"),
                             llvm::cl::init("rtn")};
  Option<bool> symmetric{*this, "symmetric", llvm::cl::desc("no zero points"),
                         llvm::cl::init(true)};
  Option<std::string> scaleRule{*this, "scale-rule",
                                llvm::cl::desc("how a scale is chosen"),
                                llvm::cl::init("default")};
  Option<std::string> config{*this, "config",
                             llvm::cl::desc("YAML file with rules"),
                             llvm::cl::init("")};
  Option<std::string> calibration{*this, "calibration",
                                  llvm::cl::desc("statistics file"),
                                  llvm::cl::init("")};
  Option<std::string> activationType{*this, "activation-type",
                                     llvm::cl::desc("uint8 or int8"),
                                     llvm::cl::init("uint8")};
  Option<bool> activationSymmetric{
      *this, "activation-symmetric",
      llvm::cl::desc("the zero point is in the middle"), llvm::cl::init(false)};
  Option<bool> biasCorrection{
      *this, "bias-correction",
      llvm::cl::desc("take back the mean error of weights"),
      llvm::cl::init(true)};
  Option<bool> equalize{*this, "equalize",
                        llvm::cl::desc("channels of one range"),
                        llvm::cl::init(true)};
  Option<double> minimumSQNR{
      *this, "minimum-sqnr",
      llvm::cl::desc("dB that rounding the input must leave of an output"),
      llvm::cl::init(30)};
};

/// Options of the phase that makes vector code.
struct VectorPipelineOptions
    : public mlir::PassPipelineOptions<VectorPipelineOptions> {
  Option<bool> avx512{*this, "avx512",
                      llvm::cl::desc("the CPU has AVX-512 F, BW, DQ and VL"),
                      llvm::cl::init(true)};
  Option<bool> fma{*this, "fma",
                   llvm::cl::desc("the CPU has fused multiply-add"),
                   llvm::cl::init(true)};
  Option<bool> vnni{*this, "vnni", llvm::cl::desc("the CPU has VNNI"),
                    llvm::cl::init(false)};
  Option<bool> tiles{*this, "tiles",
                     llvm::cl::desc("products in AMX tiles of bf16"),
                     llvm::cl::init(false)};
  Option<bool> cuda{*this, "cuda",
                    llvm::cl::desc("operations become kernels of a GPU"),
                    llvm::cl::init(false)};
};

/// Options of the phase that makes the LLVM dialect.
struct LLVMPipelineOptions
    : public mlir::PassPipelineOptions<LLVMPipelineOptions> {
  Option<std::string> chips{
      *this, "chips",
      llvm::cl::desc("GPUs to make code of the kernels for, if there are any"),
      llvm::cl::init("")};
};

/// `onnx`: old operator forms to the newest, shapes, folded constants, and
/// operators that exporters decompose.
void buildOnnxPipeline(mlir::OpPassManager &passes,
                       const OnnxPipelineOptions &options);
/// The end of `onnx`: W8A8 layers between QuantizeLinear and DequantizeLinear.
void buildStaticPipeline(mlir::OpPassManager &passes,
                         const StaticPipelineOptions &options);
/// `nibble`: quantizable operations found, everything else to linalg.
void buildNibblePipeline(mlir::OpPassManager &passes);
/// The first step of `quantized` alone: a scheme for each weight.
void buildAssignPipeline(mlir::OpPassManager &passes,
                         const QuantizePipelineOptions &options);
/// `quantized`: schemes assigned, codes computed, dequantization fused.
/// `methods` adds passes that serve requests before those of the tree do.
void buildQuantizePipeline(
    mlir::OpPassManager &passes, const QuantizePipelineOptions &options,
    llvm::function_ref<void(mlir::OpPassManager &)> methods = nullptr);
/// `linalg`: weights in kernel order, elementwise chains fused.
void buildLinalgPipeline(mlir::OpPassManager &passes);
/// `vector`: buffers, generated kernels, parallel loops, placed weights. With
/// `cuda`, what can be is a kernel of a GPU.
void buildVectorPipeline(mlir::OpPassManager &passes,
                         const codegen::CpuTarget &target, bool cuda = false);
/// `llvm`: the LLVM dialect, with OpenMP. `chips`: GPUs, empty for the CPU.
void buildLLVMPipeline(mlir::OpPassManager &passes, llvm::StringRef chips = "");

/// Registers all of the above by name.
void registerPipelines();

} // namespace nibble

#endif // NIBBLE_PIPELINES_PIPELINES_H
