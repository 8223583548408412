//===- Passes.td - Passes on the nibble dialect -------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_PASSES_TD
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def NibbleAssignSchemesPass : Pass<"nibble-assign-schemes", "::mlir::ModuleOp"> {
  let summary = "Decide how each weight is to be quantized";
  let description = [{
    Annotates every operation with a quantizable weight with a *request*: the
    scheme and the method. Methods are passes of their own; each handles the
    requests that name it. The options are rule zero; the rules of `config`, a
    YAML file, follow, and the last rule that matches a layer decides.

    Embedding tables and the output head of a language model stay float unless
    `head` or a rule that names them says otherwise. An embedding is the table of
    a gather; the head is the matrix product whose weight is the same initializer
    as a table or, in a model with a table, the last one before an output.

    With the scheme `auto` the request of a layer has a list of schemes, those of
    `candidates`, and `nibble-choose-schemes` takes one of them.

    A layer that is not quantized gets a remark with the reason, and so does a
    group larger than a row (which then has one group). A rule that matches
    nothing is a warning.

    Before:
    ```mlir
    %w = nibble.constant #w : tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {n = 10 : i64, k = 64 : i64, layers = ["fc"]}
      : (tensor<?x64xf32>, tensor<64x10xf32>) -> tensor<?x10xf32>
    ```
    After `nibble-assign-schemes{scheme=W4A16 group-size=32}`:
    ```mlir
    %w = nibble.constant #w : tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {n = 10 : i64, k = 64 : i64, layers = ["fc"],
        nibble.request = {method = "rtn", scale_rule = "absmax", scheme =
          #nibble.scheme<int4, group = 32, scale = f16, packing = rows>}}
      : (tensor<?x64xf32>, tensor<64x10xf32>) -> tensor<?x10xf32>
    ```
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", /*default=*/"\"none\"",
           "Scheme of all layers: none, W8A16, W4A16, W3A16, W2A16, NF4, FP4, ...">,
    Option<"method", "method", "std::string", /*default=*/"\"rtn\"",
           "Method of all layers">,
    Option<"groupSize", "group-size", "int64_t", /*default=*/"0",
           "Weights that share a scale; -1: a whole row; 0: 128, and 64 for NF4 and FP4">,
    Option<"symmetric", "symmetric", "bool", /*default=*/"true",
           "No zero points">,
    Option<"scaleType", "scale-type", "std::string", /*default=*/"\"default\"",
           "Type of the scales: f16, bf16 or f32; default: f16, and f32 for NF4 and FP4">,
    Option<"doubleQuant", "double-quant", "bool", /*default=*/"false",
           "Scales in 8 bits, with a float32 scale for 256 of them">,
    Option<"scaleRule", "scale-rule", "std::string", /*default=*/"\"default\"",
           "How a scale is chosen: absmax, mse, signed-max or full-range; default: signed-max for symmetric codes of at most 4 bits, else absmax">,
    Option<"outlierThreshold", "outlier-threshold", "std::string",
           /*default=*/"\"6\"",
           "LLM.int8: activations of at least this magnitude are outliers; 0: none">,
    Option<"head", "head", "std::string", /*default=*/"\"none\"",
           "Scheme of embeddings and of the output head of a language model">,
    Option<"candidates", "candidates", "std::string", /*default=*/"",
           "Schemes that auto chooses from, each as NAME or NAME:GROUP">,
    Option<"config", "config", "std::string", /*default=*/"",
           "YAML file of rules per layer">
  ];
  let statistics = [
    Statistic<"numRequested", "num-requested", "Weights to be quantized">,
    Statistic<"numSkipped", "num-skipped", "Weights that stay float">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleChooseSchemesPass : Pass<"nibble-choose-schemes", "::mlir::ModuleOp"> {
  let summary = "Choose one of several schemes for each weight";
  let description = [{
    Serves requests with `candidates`, as `nibble-assign-schemes{scheme=auto}`
    leaves them: for each weight and each scheme of its list computes the bytes
    that it would take and the error that it would make, and chooses so that all
    together keep `budget` with the least error, or `max-error` with the least
    size (see Quantizer/BitAllocation.h). What is left are ordinary requests, which
    the pass of their method serves.

    Where there are samples (`--data`), the error is that of the model's outputs
    when one layer after the other is rounded: the divergence of a language model's
    distributions, else the relative error. What one scheme costs is measured, the
    others are in proportion to the error of the layer's own output. Without
    samples it is this error, relative to the output: over the inputs that
    `calibration` knows, else as if all inputs counted the same. Errors of layers
    add up. `budget` is a number of bits per quantized weight (4.25bpw),
    scales and zero points counted, or a size of all weights (60MB), floats
    included. A budget that can't be met is an error that says the smallest that
    can.

    Before:
    ```mlir
    %y = nibble.matmul %x weight(%w) {..., nibble.request = {method = "rtn", ...,
        candidates = [{scheme = #nibble.scheme<int2, ...>, ...},
                      {scheme = #nibble.scheme<int4, ...>, ...}, ...]}}
    ```
    After `nibble-choose-schemes{budget=4.5bpw}`:
    ```mlir
    %y = nibble.matmul %x weight(%w) {..., nibble.request = {method = "rtn",
        scale_rule = "absmax", scheme = #nibble.scheme<int4, ...>}}
    ```
  }];
  let options = [
    Option<"budget", "budget", "std::string", /*default=*/"",
           "Bits per quantized weight (4.25bpw), or size of all weights (60MB)">,
    Option<"maxError", "max-error", "std::string", /*default=*/"",
           "Largest relative error (0.01, or 20dB)">,
    Option<"calibration", "calibration", "std::string", /*default=*/"",
           "Statistics file">,
    Option<"maxSamples", "max-samples", "uint64_t", /*default=*/"64",
           "Samples of --data that schemes are tried on at most">,
    Option<"maxTokens", "max-tokens", "uint64_t", /*default=*/"1024",
           "The same for samples that are windows of tokens">,
    Option<"groupIndex", "group-index", "bool", /*default=*/"false",
           "Matrix products quantized by gptq will have a group index">,
    Option<"writeConfig", "write-config", "std::string", /*default=*/"",
           "YAML file to write with a rule for each request">
  ];
  let statistics = [
    Statistic<"numChosen", "num-chosen", "Layers whose scheme was chosen">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleAnnotateBlocksPass : Pass<"nibble-annotate-blocks", "::mlir::func::FuncOp"> {
  let summary = "Mark the blocks and stages that methods go through";
  let description = [{
    For debugging: shows how methods that see the activations cut a model. Layers
    that read the same activation in the same way are a stage; a block goes from
    one place where few values are live to the next. See `BlockAnalysis.h`.

    Each layer with a request, or each layer if none has one, gets the numbers of
    its block and its stage.

    Before:
    ```mlir
    %g = nibble.matmul %x weight(%0) {n = 64 : i64, k = 16 : i64, layers = ["gate"]} : ...
    %u = nibble.matmul %x weight(%1) {n = 64 : i64, k = 16 : i64, layers = ["up"]} : ...
    %h = arith.mulf %g, %u : tensor<?x64xf32>
    %y = nibble.matmul %h weight(%2) residual(%r) {n = 16 : i64, k = 64 : i64, layers = ["down"]} : ...
    ```
    After:
    ```mlir
    %g = nibble.matmul %x weight(%0) {..., nibble.block = 0 : i64, nibble.stage = 0 : i64} : ...
    %u = nibble.matmul %x weight(%1) {..., nibble.block = 0 : i64, nibble.stage = 0 : i64} : ...
    %h = arith.mulf %g, %u : tensor<?x64xf32>
    %y = nibble.matmul %h weight(%2) residual(%r) {..., nibble.block = 0 : i64, nibble.stage = 1 : i64} : ...
    ```
  }];
  let statistics = [
    Statistic<"numBlocks", "num-blocks", "Blocks">,
    Statistic<"numStages", "num-stages", "Stages">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleObserveTensorsPass : Pass<"nibble-observe-tensors", "::mlir::ModuleOp"> {
  let summary = "Show the values of a graph to calibration";
  let description = [{
    At the end of phase `onnx`: every float value, inputs of the graph among
    them, goes to a `nibble.observe` with the name that it has in a statistics
    file. Constants and values without a name are left out. An operation is not
    fused over a value that is observed, so that the value is what it would be
    without fusion.

    Before:
    ```mlir
    %0 = onnx.Relu(%arg0) {onnx.name = "relu"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ```
    After:
    ```mlir
    %0 = onnx.Relu(%arg0) {onnx.name = "relu"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    nibble.observe %0 {id = 1 : i64, nibble.observed = {operator = "Relu"}, onnx.name = "relu"}
      : tensor<?x8xf32>
    ```
  }];
  let statistics = [
    Statistic<"numTensors", "num-tensors", "Values that are observed">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleObserveLayersPass : Pass<"nibble-observe-layers", "::mlir::ModuleOp"> {
  let summary = "Show the activations that meet weights to calibration";
  let description = [{
    At the end of phase `nibble`: the activation input of every operation with a
    weight goes to a `nibble.observe` with the name of the layer and, for a
    convolution, what cuts its input into windows.

    Before:
    ```mlir
    %1 = nibble.matmul %0 weight(%w) {n = 10 : i64, k = 8 : i64, layers = ["fc"]}
      : (tensor<?x8xf32>, tensor<8x10xf32>) -> tensor<?x10xf32>
    ```
    After:
    ```mlir
    nibble.observe %0 {id = 2 : i64, nibble.observed = {layer, operator = "MatMul"}, onnx.name = "fc"}
      : tensor<?x8xf32>
    %1 = nibble.matmul %0 weight(%w) {n = 10 : i64, k = 8 : i64, layers = ["fc"]}
      : (tensor<?x8xf32>, tensor<8x10xf32>) -> tensor<?x10xf32>
    ```
  }];
  let statistics = [
    Statistic<"numLayers", "num-layers", "Layers that are observed">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleObserveOutputsPass : Pass<"nibble-observe-outputs", "::mlir::ModuleOp"> {
  let summary = "Show what layers compute to a report";
  let description = [{
    At the end of phase `quantized`: the output of every operation with a
    weight, product of integers or not, goes to a `nibble.observe` with the
    names of the layers that the operation computes. Codes of 8 bits are shown
    as the numbers that they stand for. `nibble-compile --report --data` compares
    them with those of the same model that was not quantized.

    Before:
    ```mlir
    %1 = nibble.matmul %0 weight(%w) {n = 10 : i64, k = 8 : i64, layers = ["fc", "relu"],
      activation = #nibble.activation<relu>} : (tensor<?x8xf32>, tensor<8x10xf32>) -> tensor<?x10xf32>
    ```
    After:
    ```mlir
    %1 = nibble.matmul %0 weight(%w) {n = 10 : i64, k = 8 : i64, layers = ["fc", "relu"],
      activation = #nibble.activation<relu>} : (tensor<?x8xf32>, tensor<8x10xf32>) -> tensor<?x10xf32>
    nibble.observe %1 {id = 0 : i64, layers = ["fc", "relu"], onnx.name = "fc"} : tensor<?x10xf32>
    ```
  }];
  let statistics = [
    Statistic<"numOutputs", "num-outputs", "Outputs that are observed">
  ];
  let dependentDialects = ["::nibble::NibbleDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def NibbleQuantizeRTNPass : Pass<"nibble-quantize-rtn", "::mlir::ModuleOp"> {
  let summary = "Quantize weights by rounding to nearest";
  let description = [{
    For each request with method `rtn` reads the weight, one layer at a time
    through the mapping of its file, rounds it to the nearest code, and replaces
    it by a dequantization of the codes. Weights shared by several operations
    with the same request are quantized once.

    A weight that holds a NaN or an infinity is an error that names the layer.

    Before:
    ```mlir
    %w = nibble.constant #w : tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {..., nibble.request = {method = "rtn", ...}}
    ```
    After:
    ```mlir
    %codes = nibble.constant #codes : tensor<10x32xi8>
    %scales = nibble.constant #scales : tensor<10x2xf16>
    %w = nibble.dequantize %codes, %scales {scheme = #nibble.scheme<int4,
        group = 32, scale = f16, packing = rows>, transpose}
      : (tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {...}
    ```
  }];
  let statistics = [
    Statistic<"numWeightsQuantized", "num-weights-quantized",
              "Weights that were quantized">,
    Statistic<"numSkipped", "num-skipped", "Requests left to other methods">,
    Statistic<"bytesSaved", "bytes-saved", "Bytes saved by quantization">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleQuantizeHQQPass : Pass<"nibble-quantize-hqq", "::mlir::ModuleOp"> {
  let summary = "Quantize weights with fitted float zeros";
  let description = [{
    For each request with method `hqq` (half-quadratic quantization) does what
    `nibble-quantize-rtn` does for its own; the scheme has `zero = float`, and the
    zeros are fitted to the weights.

    Before:
    ```mlir
    %w = nibble.constant #w : tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {..., nibble.request = {method = "hqq", ...}}
    ```
    After:
    ```mlir
    %codes = nibble.constant #codes : tensor<10x32xi8>
    %scales = nibble.constant #scales : tensor<10x1xf16>
    %zeros = nibble.constant #zeros : tensor<10x1xf16>
    %w = nibble.dequantize %codes, %scales zeros %zeros {scheme = #nibble.scheme<
        int4, group = 64, scale = f16, zero = float, packing = rows>, transpose}
      : (tensor<10x32xi8>, tensor<10x1xf16>, tensor<10x1xf16>) -> tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {...}
    ```
  }];
  let statistics = [
    Statistic<"numWeightsQuantized", "num-weights-quantized",
              "Weights that were quantized">,
    Statistic<"numSkipped", "num-skipped", "Requests left to other methods">,
    Statistic<"bytesSaved", "bytes-saved", "Bytes saved by quantization">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleQuantizeImatrixPass : Pass<"nibble-quantize-imatrix", "::mlir::ModuleOp"> {
  let summary = "Quantize weights to GGUF types by the importance of inputs";
  let description = [{
    For each request with method `imatrix` does what `nibble-quantize-rtn` does
    for its own; the scheme is a type of GGUF files. Errors of a column count by
    the mean square of its input, which the statistics file has.

    Before:
    ```mlir
    %w = nibble.constant #w : tensor<256x10xf32>
    %y = nibble.matmul %x weight(%w) {..., layers = ["fc"], nibble.request = {method = "imatrix",
      scale_rule = "ggml", ...}}
    ```
    After `nibble-quantize-imatrix{calibration=model.yaml}`:
    ```mlir
    %codes = nibble.constant #codes : tensor<10x128xi8>
    %scales = nibble.constant #scales : tensor<10x8xi8>
    %zeros = nibble.constant #zeros : tensor<10x8xi8>
    %second = nibble.constant #second : tensor<2x10xf16>
    %w = nibble.dequantize %codes, %scales zeros %zeros second %second {scheme =
        #nibble.scheme<int4, group = 32, scale = f16, second = f16 x 8,
        zero = minimum, packing = rows>, transpose} : (...) -> tensor<256x10xf32>
    %y = nibble.matmul %x weight(%w) {...}
    ```
  }];
  let options = [
    Option<"calibration", "calibration", "std::string", /*default=*/"",
           "File that nibble-calibrate wrote">
  ];
  let statistics = [
    Statistic<"numWeightsQuantized", "num-weights-quantized",
              "Weights that were quantized">,
    Statistic<"numSkipped", "num-skipped", "Requests left to other methods">,
    Statistic<"bytesSaved", "bytes-saved", "Bytes saved by quantization">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

/// What passes that find scales of input channels can be told.
defvar scaleOptions = [
  Option<"awqPoints", "awq-points", "int64_t", /*default=*/"20",
         "AWQ: exponents between 0 and 1 that are tried">,
  Option<"awqClip", "awq-clip", "bool", /*default=*/"true",
         "AWQ: look for limits of weights, too">,
  Option<"smoothQuantAlpha", "smoothquant-alpha", "std::string",
         /*default=*/"\"0.5\"",
         "SmoothQuant: part of the outliers that goes into weights, or auto">
];

/// What passes that quantize by GPTQ can be told.
defvar gptqOptions = [
  Option<"dampPercent", "damp-percent", "double", /*default=*/"0.05",
         "Part of the mean that is added to the diagonal">,
  Option<"dampAutoIncrement", "damp-auto-increment", "double",
         /*default=*/"0.01",
         "What is added to it while the Hessian is not positive definite">,
  Option<"blockSize", "block-size", "int64_t", /*default=*/"128",
         "Columns after which changes reach all columns to come">,
  Option<"activationOrder", "activation-order", "bool", /*default=*/"false",
         "Columns with large inputs first, with a group index">,
  Option<"staticGroups", "static-groups", "bool", /*default=*/"false",
         "Scales from the original weight; no group index">,
  Option<"actGroupAware", "act-group-aware", "bool", /*default=*/"true",
         "Columns with large inputs first inside of each group, at no cost">
];

def NibbleQuantizeBlocksPass : Pass<"nibble-quantize-blocks", "::mlir::ModuleOp"> {
  let summary = "Quantize block by block, on samples that the model is run on";
  let description = [{
    Where the user gave samples: serves the requests of methods that look at
    activations, and all others on the way, so that what follows is calibrated
    on what the quantized layers give. A request names methods that prepare the
    weight, in `prepare`, and one that chooses codes, `method`:

    - `awq` and `smoothquant` find scales of input channels, which are folded as
      `nibble-fold-scales` does it; AWQ also limits, at which weights that `rtn`
      rounds are clamped (Quantizer/ScaleMethods.h);
    - `gptq` chooses codes as `nibble-quantize-gptq` does, with the sums x x^T of
      the stage.

    Scales of a block are found before its first layer is quantized; then the
    block runs again. Layers that read the same value have the same scales: one
    that asks for none shares those of the others. A layer that can't have any,
    a grouped convolution say, is quantized without, with a remark. What no stage
    of the model reaches keeps its request.

    Without samples nothing is done.

    Before:
    ```mlir
    %n = linalg.generic ... ins(%x, %gamma) ...
    %w = nibble.constant #w : tensor<64x10xf32>
    %y = nibble.matmul %n weight(%w) {..., nibble.request = {method = "rtn", prepare = ["awq"], ...}}
    ```
    After, with `gamma1 = gamma / s` and codes of `w * s`:
    ```mlir
    %n = linalg.generic ... ins(%x, %gamma1) ...
    %codes = nibble.constant #codes : tensor<10x32xi8>
    %scales = nibble.constant #scales : tensor<10x1xf16>
    %w = nibble.dequantize %codes, %scales {scheme = #nibble.scheme<int4, group = 64,
        scale = f16, packing = rows>, transpose} : (...) -> tensor<64x10xf32>
    %y = nibble.matmul %n weight(%w) {...}
    ```
  }];
  let options = scaleOptions # gptqOptions;
  let statistics = [
    Statistic<"numWeightsQuantized", "num-weights-quantized",
              "Weights that were quantized">,
    Statistic<"bytesSaved", "bytes-saved", "Bytes saved by quantization">
  ];
  let dependentDialects = ["::nibble::NibbleDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def NibbleSearchScalesPass : Pass<"nibble-search-scales", "::mlir::ModuleOp"> {
  let summary = "Find scales of input channels with statistics from a file";
  let description = [{
    For requests that name `awq` or `smoothquant` in `prepare` finds scales of
    input channels with what a statistics file knows of the activations, and
    folds them as `nibble-fold-scales` does it. AWQ weighs errors by the sums
    x x^T where the file has them, by mean squares elsewhere; limits of weights
    need samples, with which `nibble-quantize-blocks` has served the request
    before.

    The pass that chooses codes finds the scales, one for each column, as
    `nibble.folded_scales`: what the file says is of activations that were not
    divided by them.

    Before:
    ```mlir
    %n = linalg.generic ... ins(%x, %gamma) ...
    %y = nibble.matmul %n weight(%w) {..., nibble.request = {method = "rtn", prepare = ["awq"], ...}}
    ```
    After `nibble-search-scales{calibration=stats.yaml}`, gamma1 = gamma / s, w1 = w * s:
    ```mlir
    %n = linalg.generic ... ins(%x, %gamma1) ...
    %y = nibble.matmul %n weight(%w1) {..., nibble.folded_scales = array<f32: ...>,
      nibble.request = {method = "rtn", prepared = ["awq"], ...}}
    ```
  }];
  let options = [
    Option<"calibration", "calibration", "std::string", /*default=*/"",
           "File that nibble-calibrate wrote">
  ] # scaleOptions;
  let statistics = [
    Statistic<"numStages", "num-stages", "Activations that have scales">
  ];
  let dependentDialects = ["::nibble::NibbleDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def NibbleQuantizeGPTQPass : Pass<"nibble-quantize-gptq", "::mlir::ModuleOp"> {
  let summary = "Quantize weights by rounding that makes up for its errors";
  let description = [{
    For each request with method `gptq` rounds the columns of the weight one
    after the other, and changes those that are left so that the outputs change
    least on the inputs of the calibration data (see Quantizer/GPTQ.h). The sums
    x x^T of these inputs come from the statistics of `calibration`. Where there
    are samples, `nibble-quantize-blocks` has served the requests before.

    A layer whose sums can't be used, because no input reached it or they are
    not positive definite with any damping, is rounded to nearest with a warning
    that names it. With `activation-order` the weight of a matrix product has a
    `group_index`; other operations have static groups then.

    Before:
    ```mlir
    %w = nibble.constant #w : tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {..., nibble.request = {method = "gptq", ...}}
    ```
    After `nibble-quantize-gptq{calibration=stats.yaml activation-order}`:
    ```mlir
    %codes = nibble.constant #codes : tensor<10x32xi8>
    %scales = nibble.constant #scales : tensor<10x2xf16>
    %index = nibble.constant #index : tensor<64xi32>
    %w = nibble.dequantize %codes, %scales group_index %index {scheme = #nibble.scheme<int4,
        group = 32, scale = f16, group_index, packing = rows>, transpose}
      : (tensor<10x32xi8>, tensor<10x2xf16>, tensor<64xi32>) -> tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {...}
    ```
  }];
  let options = [
    Option<"calibration", "calibration", "std::string", /*default=*/"",
           "Statistics file with Hessians">
  ] # gptqOptions;
  let statistics = [
    Statistic<"numWeightsQuantized", "num-weights-quantized",
              "Weights that were quantized">,
    Statistic<"numFallbacks", "num-fallbacks",
              "Weights that were rounded to nearest">,
    Statistic<"bytesSaved", "bytes-saved", "Bytes saved by quantization">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleQuantizeAutoRoundPass
    : Pass<"nibble-quantize-autoround", "::mlir::ModuleOp"> {
  let summary = "Quantize weights with roundings learned on blocks";
  let description = [{
    Serves requests with method `autoround` block by block, on samples. The
    codes of a block begin as those of GPTQ, or rounded to nearest. Then sign
    gradient descent learns for each weight how it is rounded, and for each
    group how wide its range is (see Quantizer/AutoRound.h), so that the block
    computes what the float model computes there, from the inputs that the
    quantized blocks before it give. The derivatives are those that
    `onnx-build-gradient` writes for the block's operators.

    A block whose derivatives are not known keeps the codes that it began with,
    and a warning says which operator has none. Layers of methods that need no
    data are served on the way, and the blocks behind them learn with their
    codes.

    Before:
    ```mlir
    %w = nibble.constant #w : tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {..., nibble.request = {method = "autoround", ...}}
    ```
    After:
    ```mlir
    %codes = nibble.constant #codes : tensor<10x32xi8>
    %scales = nibble.constant #scales : tensor<10x2xf16>
    %zeros = nibble.constant #zeros : tensor<10x2xi8>
    %w = nibble.dequantize %codes, %scales zeros %zeros {scheme = #nibble.scheme<int4,
        group = 32, scale = f16, zero = integer, packing = rows>, transpose}
      : (tensor<10x32xi8>, tensor<10x2xf16>, tensor<10x2xi8>) -> tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {...}
    ```
  }];
  let options = [
    Option<"iterations", "iterations", "unsigned", /*default=*/"200",
           "Steps of a block; 0: the codes of the start">,
    Option<"batchSize", "batch-size", "unsigned", /*default=*/"8",
           "Samples of a step">,
    Option<"learningRate", "learning-rate", "double", /*default=*/"0",
           "Length of the first step, which falls to 0; 0: 1 / iterations">,
    Option<"rangeLearningRate", "range-learning-rate", "double",
           /*default=*/"0", "The same of the ranges; 0: as learning-rate">,
    Option<"learnRange", "learn-range", "bool", /*default=*/"true",
           "Learn the ranges of groups, too">,
    Option<"start", "start", "std::string", /*default=*/"\"gptq\"",
           "What the codes are before the first step: gptq or rtn">,
    Option<"seed", "seed", "uint64_t", /*default=*/"42",
           "Of the order of the samples">
  ];
  let statistics = [
    Statistic<"numWeightsQuantized", "num-weights-quantized",
              "Weights that were quantized">,
    Statistic<"numBlocksLearned", "num-blocks-learned",
              "Blocks whose roundings were learned">,
    Statistic<"numFallbacks", "num-fallbacks",
              "Blocks that kept the codes of the start">,
    Statistic<"bytesSaved", "bytes-saved", "Bytes saved by quantization">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleFoldScalesPass : Pass<"nibble-fold-scales", "::mlir::func::FuncOp"> {
  let summary = "Fold scales of input channels into weights and activations";
  let description = [{
    Layers with the attribute `nibble.input_scales`, as AWQ and SmoothQuant choose
    them, get weights whose columns are multiplied with the scales, and
    activations that are divided by them: the float function stays the same, its
    quantization errors do not.

    The division goes into what computes the activations, if only layers with the
    same scales read them: into a constant that is multiplied in (the weight of a
    normalization) or the output channels of another layer, through sums,
    products and rectification. Otherwise there is a multiplication.

    Before:
    ```mlir
    %a = nibble.matmul %x weight(%v) bias(%b) {n = 2 : i64, k = 8 : i64, ...}
    %y = nibble.matmul %a weight(%w) {n = 8 : i64, k = 2 : i64, nibble.input_scales = array<f32: 2.0, 0.5>, ...}
    ```
    After, with rows of %v and elements of %b divided by 2 and 0.5, and columns
    of %w multiplied with them:
    ```mlir
    %a = nibble.matmul %x weight(%v1) bias(%b1) {n = 2 : i64, k = 8 : i64, ...}
    %y = nibble.matmul %a weight(%w1) {n = 8 : i64, k = 2 : i64, ...}
    ```
  }];
  let statistics = [
    Statistic<"numFolded", "num-folded", "Activations whose producer was divided">,
    Statistic<"numMultiplications", "num-multiplications",
              "Activations that are divided by an operation of their own">
  ];
  let dependentDialects = ["::nibble::NibbleDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def NibbleFuseDequantizePass : Pass<"nibble-fuse-dequantize", "::mlir::func::FuncOp"> {
  let summary = "Let operations read codes instead of dequantized weights";
  let description = [{
    Folds `nibble.dequantize` in `rows` packing into the `nibble.matmul`,
    `nibble.conv` or `nibble.gather` that uses it as its weight. No float copy of
    the weight is left.

    Before:
    ```mlir
    %w = nibble.dequantize %codes, %scales {scheme = #s, transpose}
      : (tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<64x10xf32>
    %y = nibble.matmul %x weight(%w) {n = 10 : i64, k = 64 : i64}
      : (tensor<?x64xf32>, tensor<64x10xf32>) -> tensor<?x10xf32>
    ```
    After:
    ```mlir
    %y = nibble.matmul %x weight(%codes, %scales) {n = 10 : i64, k = 64 : i64, scheme = #s}
      : (tensor<?x64xf32>, tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<?x10xf32>
    ```
  }];
  let statistics = [
    Statistic<"numFused", "num-fused", "Dequantizations that were fused">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleQuantizeActivationsPass : Pass<"nibble-quantize-activations", "::mlir::func::FuncOp"> {
  let summary = "Multiply integers where activations are quantized at run time";
  let description = [{
    Products with the mark `nibble.outlier_threshold` (scheme `LLM.int8`) and an
    int8 weight of one scale per output channel become `nibble.quantize_outliers`
    of the input, an integer product, and before it, for the columns of the input
    that hold outliers, a `nibble.matmul_outliers` whose result is its residual.

    Products with the mark `nibble.dynamic_activations` (scheme `W8A8-dynamic`)
    and an int8 weight of one scale per output channel become
    `nibble.quantize_dynamic` of the input, a scale and a zero point for each
    token or for each sample of a convolution, and an integer product that ends in
    floats. An input that several products share is quantized once.

    Before:
    ```mlir
    %y = nibble.matmul %x weight(%codes, %scales) bias(%b) {nibble.dynamic_activations,
        n = 64 : i64, k = 128 : i64, scheme = #nibble.scheme<int8, group = -1, scale = f32, packing = rows>}
      : (tensor<?x128xf32>, tensor<64x128xi8>, tensor<64x1xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    ```
    After:
    ```mlir
    %q:3 = nibble.quantize_dynamic %x {row_rank = 1 : i64}
      : (tensor<?x128xf32>) -> (tensor<?x128xi8>, tensor<?xf32>, tensor<?xi8>)
    %s = tensor.collapse_shape %scales [[0, 1]] : tensor<64x1xf32> into tensor<64xf32>
    %y = nibble.matmul_integer %q#0 weight(%codes scales %s) input_zero(%q#2) input_scale(%q#1) bias(%b)
        {n = 64 : i64, k = 128 : i64, transpose_weight, unsigned_input} : ...
    ```
  }];
  let statistics = [
    Statistic<"numProducts", "num-products", "Products that are now of integers">
  ];
  let dependentDialects = ["::nibble::NibbleDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def NibbleVerifyQuantizedPass : Pass<"nibble-verify-quantized", "::mlir::func::FuncOp"> {
  let summary = "Check that no float copy of a quantized weight exists";
  let description = [{
    An error for every `nibble.dequantize` of packed codes that is left: running
    it would make a float weight of full size. With `allow-unfused` it is a
    remark. A request that no pass served is an error too: the layer would stay
    float. The IR does not change.

    ```mlir
    // error: layer "fc": the quantized weight is read by 'linalg.transpose' as float ...
    %w = nibble.dequantize %codes, %scales {scheme = #s}
      : (tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<10x64xf32>
    %t = linalg.transpose ins(%w : tensor<10x64xf32>) ...
    ```
  }];
  let options = [
    Option<"allowUnfused", "allow-unfused", "bool", /*default=*/"false",
           "Say it as a remark">
  ];
}

def NibbleFuseDequantizedInputsPass
    : Pass<"nibble-fuse-dequantized-inputs", "::mlir::func::FuncOp"> {
  let summary = "Dequantize bytes where they are read";
  let description = [{
    A loop that makes a float of each byte of a tensor becomes part of every loop
    that reads the floats, also of several, and of reductions: each reads bytes,
    a quarter of the memory, and converts them. Together with
    `nibble-fuse-elementwise` what lies between dequantization and
    quantization becomes one loop from bytes to bytes.

    Before:
    ```mlir
    %0 = linalg.generic ... ins(%x : tensor<8xi8>) outs(%e : tensor<8xf32>) { ... arith.uitofp ... arith.mulf ... }
    %1 = linalg.generic ... ins(%0, %y : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) { ... arith.addf ... }
    ```
    After:
    ```mlir
    %1 = linalg.generic ... ins(%x, %y : tensor<8xi8>, tensor<8xf32>) outs(%e : tensor<8xf32>) { ... arith.uitofp ... arith.mulf ... arith.addf ... }
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def NibbleFuseElementwisePass
    : Pass<"nibble-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "Make one loop of elementwise operations that follow each other";
  let description = [{
    As upstream's `linalg-fuse-elementwise-ops`, but a reduction that reads an
    operand several times, as a product does, does not take in what computes it:
    it would compute it each time. Products keep their matrices, too, where a
    reshape comes before or after them.

    Before:
    ```mlir
    %0 = linalg.generic ... ins(%x : tensor<8x4xf32>) outs(%e : tensor<8x4xf32>) { ... math.exp ... }
    %1 = linalg.generic ... ins(%0 : tensor<8x4xf32>) outs(%e : tensor<8x4xf32>) { ... arith.addf ... }
    %2 = linalg.matmul ins(%1, %w : tensor<8x4xf32>, tensor<4x6xf32>) outs(%z : tensor<8x6xf32>)
    ```
    After:
    ```mlir
    %1 = linalg.generic ... ins(%x : tensor<8x4xf32>) outs(%e : tensor<8x4xf32>) { ... math.exp ... arith.addf ... }
    %2 = linalg.matmul ins(%1, %w : tensor<8x4xf32>, tensor<4x6xf32>) outs(%z : tensor<8x6xf32>)
    ```
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::memref::MemRefDialect", "::mlir::tensor::TensorDialect"
  ];
}

def NibbleFoldTransposesPass
    : Pass<"nibble-fold-transposes", "::mlir::func::FuncOp"> {
  let summary = "Read transposed operands of products where they are";
  let description = [{
    A product of two tensors of floats whose operand was transposed reads the
    operand itself: kernels move it anyway, and loops take any order. Dimensions
    that were joined after they were transposed may be in between.

    Before:
    ```mlir
    %t = linalg.transpose ins(%x : tensor<512x64xf32>) outs(%e : tensor<64x512xf32>) permutation = [1, 0]
    %y = linalg.matmul ins(%t, %g : tensor<64x512xf32>, tensor<512x32xf32>) outs(%z : tensor<64x32xf32>)
    ```
    After:
    ```mlir
    %y = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (k, m)>,
        affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %g : tensor<512x64xf32>, tensor<512x32xf32>) outs(%z : tensor<64x32xf32>)
    ```
  }];
  let statistics = [
    Statistic<"numFolded", "num-folded", "Operands that are not transposed any more">
  ];
  let dependentDialects = [
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"
  ];
}

def NibbleSortGroupsPass : Pass<"nibble-sort-groups", "::mlir::func::FuncOp"> {
  let summary = "Bring weights with a group index into the order of the groups";
  let description = [{
    The columns of a weight whose `group_index` says which scale each has, as
    quantization in the order of activation leaves them, are sorted by group, and
    the columns of the input are gathered in the same order at run time. Groups
    that are not all full are cut into runs of 16, the last filled up with
    columns that meet a zero of the input.

    Before:
    ```mlir
    %y = nibble.matmul %x weight(%w, %s group_index %g) {n = 8 : i64, k = 64 : i64,
        scheme = #nibble.scheme<int4, group = 32, scale = f32, group_index, packing = rows>}
      : (tensor<?x64xf32>, tensor<8x32xi8>, tensor<8x2xf32>, tensor<64xi32>) -> tensor<?x8xf32>
    ```
    After:
    ```mlir
    %c = nibble.constant #c : tensor<64xi32>
    %0 = linalg.generic ... ins(%c : tensor<64xi32>) outs(%e : tensor<?x64xf32>) {
      ... %v = tensor.extract %x[%row, %column] : tensor<?x64xf32> ...
    } -> tensor<?x64xf32>
    %y = nibble.matmul %0 weight(%w2, %s) {n = 8 : i64, k = 64 : i64,
        scheme = #nibble.scheme<int4, group = 32, scale = f32, packing = rows>}
      : (tensor<?x64xf32>, tensor<8x32xi8>, tensor<8x2xf32>) -> tensor<?x8xf32>
    ```
  }];
  let statistics = [
    Statistic<"numSorted", "num-sorted", "Weights whose columns were sorted">
  ];
  let dependentDialects = ["::nibble::NibbleDialect",
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect"];
}

def NibblePackWeightsPass : Pass<"nibble-pack-weights", "::mlir::func::FuncOp"> {
  let summary = "Bring weights into the order that CPU kernels read";
  let description = [{
    Weights of `nibble.matmul` and of `nibble.conv` with one group go from rows
    to panels of 32 output channels with the contraction outermost, so that a
    kernel reads one stream. Float weights go the same way and get the mark
    `packed_float`. The weights of grouped convolutions stay as they are, and so
    do the tables of `nibble.gather`, unless a product reads the same weight
    with the same scheme: then the packed one is the only one.

    Before:
    ```mlir
    %w = nibble.constant #w : tensor<10x32xi8>
    %s = nibble.constant #s : tensor<10x2xf16>
    %y = nibble.matmul %x weight(%w, %s) {n = 10 : i64, k = 64 : i64, scheme =
        #nibble.scheme<int4, group = 32, scale = f16, packing = rows>}
      : (tensor<?x64xf32>, tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<?x10xf32>
    ```
    After:
    ```mlir
    %w = nibble.constant #w2 : tensor<1x1024xi8>
    %s = nibble.constant #s2 : tensor<1x2x32xf16>
    %y = nibble.matmul %x weight(%w, %s) {n = 10 : i64, k = 64 : i64, scheme =
        #nibble.scheme<int4, group = 32, scale = f16, packing = panel>}
      : (tensor<?x64xf32>, tensor<1x1024xi8>, tensor<1x2x32xf16>) -> tensor<?x10xf32>
    ```
  }];
  let statistics = [
    Statistic<"numPacked", "num-packed", "Weights that were packed">,
    Statistic<"numShared", "num-shared", "Tables that a product has packed">
  ];
  let dependentDialects = ["::nibble::NibbleDialect"];
}

def NibbleShareCachesPass : Pass<"nibble-share-caches", "::mlir::func::FuncOp"> {
  let summary = "Find the inputs and outputs that can be one buffer";
  let description = [{
    A language model takes keys and values of the tokens before as inputs and
    returns them with those of the new tokens. Where the input has no other use
    and the result is an output, both get the number of a cache: its buffer
    belongs to the context of a run, and a run writes the new positions alone. A
    cache that can't be shared gets a remark with the reason: the past is copied.

    Before:
    ```mlir
    func.func @main_graph(%past: tensor<1x2x?x8xf32>, %k: tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32> {
      %0 = nibble.append_cache %past, %k {axis = 2 : i64}
        : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32>
      return %0 : tensor<1x2x?x8xf32>
    }
    ```
    After:
    ```mlir
    func.func @main_graph(%past: tensor<1x2x?x8xf32> {nibble.cache = 0 : i64}, %k: tensor<1x2x?x8xf32>)
        -> (tensor<1x2x?x8xf32> {nibble.cache = 0 : i64}) {
      %0 = nibble.append_cache %past, %k {axis = 2 : i64, cache = 0 : i64}
        : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32>
      return %0 : tensor<1x2x?x8xf32>
    }
    ```
  }];
  let statistics = [
    Statistic<"numShared", "num-shared", "Caches of the model">,
    Statistic<"numCopied", "num-copied", "Pasts that each run copies">
  ];
}

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_PASSES_TD
