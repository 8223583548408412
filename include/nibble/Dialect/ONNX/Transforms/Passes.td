//===- Passes.td - Passes on the onnx dialect --------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_TRANSFORMS_PASSES_TD
#define NIBBLE_DIALECT_ONNX_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def ONNXInferShapesPass : Pass<"onnx-infer-shapes", "::mlir::ModuleOp"> {
  let summary = "Infer element types and shapes; fold computations of shapes";
  let description = [{
    Works out the types of all results from those of the function's arguments
    and refines the function's result types. Elements of small integer tensors
    are followed one by one, known or symbolic, so that shapes that the model
    computes become static where they can; what is wholly known becomes a
    constant, and an `onnx.If` on it the branch that is taken. An `onnx.If` that
    squeezes a dimension only if it is 1, and whose result so has no rank,
    becomes the Squeeze: the size is checked at run time.

    It is an error, located at the operation and naming its layer, when shapes
    contradict each other, or when a rank or an element type stays unknown.

    Before:
    ```mlir
    %s = onnx.Shape(%x) : (tensor<?x3x4xf32>) -> tensor<*x!onnx.unknown>
    %i = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
    %n = onnx.Gather(%s, %i) : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
    %m = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
    %t = onnx.Concat(%n, %m) {axis = 0 : i64} : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
    %y = onnx.Reshape(%x, %t) : (tensor<?x3x4xf32>, tensor<*x!onnx.unknown>) -> tensor<*x!onnx.unknown>
    ```
    After:
    ```mlir
    %y = onnx.Reshape(%x, %t) : (tensor<?x3x4xf32>, tensor<2xi64>) -> tensor<?x12xf32>
    ```
  }];
  let statistics = [
    Statistic<"numFolded", "num-folded",
              "Results that were replaced by constants">
  ];
  let dependentDialects = ["::nibble::onnx::ONNXDialect"];
}

def ONNXNormalizeOpsetPass : Pass<"onnx-normalize-opset", "::mlir::ModuleOp"> {
  let summary = "Rewrite operators of older opsets to the newest definitions";
  let description = [{
    Reads the module's `onnx.opset_version` (7 to 28), rewrites what later opsets
    changed, and sets the version to 28: attributes that became operands (axes
    of Squeeze, Unsqueeze and reductions, split, pads, starts and ends, bounds of
    Clip, k of TopK, ratio of Dropout), Softmax and its relatives that worked on
    a matrix before opset 13, Upsample and the first Resize, GroupNormalization
    with parameters per group, and the numbers of operands and results that
    grew. Attributes without an equivalent (broadcasting with `axis` of opset 6,
    statistics per element of BatchNormalization) are errors that name the layer.

    Before:
    ```mlir
    module attributes {onnx.opset_version = 11 : i64} {
      func.func @f(%x: tensor<1x4xf32>) -> tensor<4xf32> {
        %none = onnx.NoValue : none
        %y = onnx.Squeeze(%x, %none) {axes = array<i64: 0>} : (tensor<1x4xf32>, none) -> tensor<4xf32>
        return %y : tensor<4xf32>
      }
    }
    ```
    After:
    ```mlir
    module attributes {onnx.opset_version = 28 : i64} {
      func.func @f(%x: tensor<1x4xf32>) -> tensor<4xf32> {
        %axes = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
        %y = onnx.Squeeze(%x, %axes) : (tensor<1x4xf32>, tensor<1xi64>) -> tensor<4xf32>
        return %y : tensor<4xf32>
      }
    }
    ```
  }];
  let statistics = [
    Statistic<"numRewritten", "num-rewritten", "Operators that were rewritten">
  ];
  let dependentDialects = ["::nibble::onnx::ONNXDialect"];
}

def ONNXLowerSequencesPass : Pass<"onnx-lower-sequences", "::mlir::ModuleOp"> {
  let summary = "Write sequences and optionals as tensors";
  let description = [{
    Sequences whose tensors are known when the model is compiled disappear:
    `SequenceAt` becomes the tensor, `ConcatFromSequence` a Concat, `SequenceMap`
    a copy of its body for each tensor. Others, which loops fill, branches
    choose or callers give, become two tensors: all elements one after the
    other, and a row of sizes for each tensor. An optional tensor is a sequence
    of at most one; an optional sequence has a third tensor, of a bool, that
    tells whether it is there.

    An input or output NAME of such a type becomes the inputs or outputs NAME,
    `NAME.shapes` and `NAME.present`. The tensors of one sequence must have one
    rank. What is new is inferred by `onnx-infer-shapes`, which runs inside.

    Before:
    ```mlir
    func.func @f(%s: !onnx.seq<tensor<?xf32>> {onnx.name = "s"}) -> tensor<i64> {
      %n = onnx.SequenceLength(%s) : (!onnx.seq<tensor<?xf32>>) -> tensor<i64>
      return %n : tensor<i64>
    }
    ```
    After:
    ```mlir
    func.func @f(%s: tensor<?xf32> {onnx.name = "s"}, %r: tensor<?x1xi64> {onnx.name = "s.shapes"}) -> tensor<i64> {
      %0 = onnx.Shape(%r) : (tensor<?x1xi64>) -> tensor<2xi64>
      %c = onnx.Constant {value = dense<0> : tensor<i64>} : tensor<i64>
      %n = onnx.Gather(%0, %c) : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
      return %n : tensor<i64>
    }
    ```
  }];
  let dependentDialects = ["::nibble::onnx::ONNXDialect"];
}

def ONNXDecomposeMicrosoftPass : Pass<"onnx-decompose-microsoft", "::mlir::ModuleOp"> {
  let summary = "Write operators of com.microsoft with standard ones";
  let description = [{
    Operators of ONNX Runtime's own domain become the standard operators that
    they stand for: `QLinearAdd` dequantizes, adds and quantizes, `FusedConv` is
    a convolution and an activation. The operator that does the work keeps the
    name of the layer. `MatMulNBits` and `GatherBlockQuantized` stay, because
    their weights must not be dequantized.

    Attention becomes what our own exporter writes: `GroupQueryAttention` is a
    RotaryEmbedding, a TensorScatter of the new keys and values into the past,
    made longer if it has no room, and an Attention with the lengths of the
    texts; `MultiHeadAttention` and `Attention` get a mask of floats. Caches of
    codes, and buffers that beams share, are errors.

    Ranks must be known; types of new results are left to `onnx-infer-shapes`.

    Before:
    ```mlir
    %y = onnx.microsoft.QLinearSigmoid(%x, %xs, %xz, %ys, %yz) {onnx.name = "act"}
      : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
    ```
    After:
    ```mlir
    %0 = onnx.DequantizeLinear(%x, %xs, %xz) {axis = 0 : i64}
      : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<*x!onnx.unknown>
    %1 = onnx.Sigmoid(%0) {onnx.name = "act"} : (tensor<*x!onnx.unknown>) -> tensor<*x!onnx.unknown>
    %y = onnx.QuantizeLinear(%1, %ys, %yz)
      : (tensor<*x!onnx.unknown>, tensor<f32>, tensor<ui8>) -> tensor<*x!onnx.unknown>
    ```
  }];
  let statistics = [
    Statistic<"numDecomposed", "num-decomposed", "Operators that were decomposed">
  ];
  let dependentDialects = ["::nibble::onnx::ONNXDialect"];
}

def ONNXPropagateQuantizationPass
    : Pass<"onnx-propagate-quantization", "::mlir::func::FuncOp"> {
  let summary = "Move data as bytes, not as floats";
  let description = [{
    `DequantizeLinear` to float32 with one scale moves down through operators
    that only move elements or choose among them (Reshape, Transpose, Slice,
    Split, Gather, Pad with zeros, MaxPool, Resize to the nearest, Concat of
    equal scales, ...); `QuantizeLinear` moves up through them, and through a
    Concat of other scales. Where both meet with the same scale they vanish.
    Bounds of Relu and Clip that no code exceeds vanish too.

    Before:
    ```mlir
    %0 = onnx.DequantizeLinear(%x, %s, %z) : (tensor<1x3x8x8xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x8x8xf32>
    %1 = onnx.MaxPool(%0) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x3x8x8xf32>) -> (tensor<1x3x4x4xf32>, none)
    %y = onnx.QuantizeLinear(%1, %s, %z) : (tensor<1x3x4x4xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x3x4x4xui8>
    ```
    After:
    ```mlir
    %y = onnx.MaxPool(%x) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x3x8x8xui8>) -> (tensor<1x3x4x4xui8>, none)
    ```
  }];
  let dependentDialects = ["::nibble::onnx::ONNXDialect"];
}

class ONNXStaticPass<string name, string title>
    : Pass<"onnx-" # name, "::mlir::ModuleOp"> {
  let summary = title;
  let dependentDialects = ["::nibble::onnx::ONNXDialect"];
}

def ONNXEqualizeLayersPass
    : ONNXStaticPass<"equalize-layers", "Give the channels between convolutions one range"> {
  let description = [{
    In chains of convolutions with nothing or Relu between, where no one else
    reads what is between, channel c is divided by a factor s[c] where it is
    made and multiplied by it where it is read, in the weights: the model
    computes the same, and channels with small values use more of the codes that
    all of them share. Factors are those of cross-layer equalization: see
    nibble/Quantizer/Equalization.h.

    Only convolutions that the command line or a rule makes W8A8 are touched:
    what other methods know of a layer's input holds for the weight as it was.
    Without a statistics file nothing becomes W8A8, and nothing is done.

    The operator that makes the channels gets them as `nibble.equalized`, for
    passes that know its range from before.

    Before:
    ```mlir
    %0 = onnx.Conv(%x, %w1, %b1) : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
    %1 = onnx.Relu(%0) : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %2 = onnx.Conv(%1, %w2, %none) : (tensor<1x4x8x8xf32>, tensor<2x4x1x1xf32>, none) -> tensor<1x2x8x8xf32>
    ```
    After, with w1' = w1 / s, b1' = b1 / s, w2' = w2 * s:
    ```mlir
    %0 = onnx.Conv(%x, %w1', %b1') : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
    %1 = onnx.Relu(%0) {nibble.equalized = array<f32: 0.5, 1.0, 1.0, 2.0>} : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    %2 = onnx.Conv(%1, %w2', %none) : (tensor<1x4x8x8xf32>, tensor<2x4x1x1xf32>, none) -> tensor<1x2x8x8xf32>
    ```
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", "\"none\"", "scheme of layers without a rule">,
    Option<"config", "config", "std::string", "\"\"", "YAML file with rules">,
    Option<"calibration", "calibration", "std::string", "\"\"", "statistics file">
  ];
  let statistics = [
    Statistic<"numEqualized", "num-equalized", "Values whose channels were equalized">
  ];
}

def ONNXInsertQuantizationPass
    : ONNXStaticPass<"insert-quantization", "Insert Q/DQ with ranges from a statistics file"> {
  let description = [{
    Makes a graph of floats one of QuantizeLinear and DequantizeLinear (QDQ),
    for the layers that the command line or a rule makes W8A8. The input of a
    product gets the scale of its range in the statistics file; weights become
    signed bytes with a scale for each output channel, a bias 32-bit integers.
    Operators between products read and write bytes, too, where a product needs
    what they make; movement of data, MaxPool and Concat give one scale to what
    they read and make. Relu and Clip after a product are in the range of what
    is quantized. Values that are quantized in the model keep their scales.

    A product stays float whose output would be less than `minimum-sqnr` above
    the noise of its rounded input, as predicted from its weight and the mean
    squares in the file: its input has few large values, or large channels that
    the weight hardly uses.

    A product that stays in floats, and an operator that reads bytes and
    computes in floats, is a remark with the reason. Without a statistics file,
    a W8A8 layer is an error unless the model is quantized itself.

    Before:
    ```mlir
    %0 = onnx.Conv(%x, %w, %b) {onnx.name = "conv"} : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
    ```
    After:
    ```mlir
    %q = onnx.QuantizeLinear(%x, %xs, %xz) : (tensor<1x3x8x8xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x3x8x8xui8>
    %0 = onnx.DequantizeLinear(%q, %xs, %xz) : (tensor<1x3x8x8xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x8x8xf32>
    %1 = onnx.DequantizeLinear(%w8, %ws, %none) {axis = 0 : i64} : (tensor<4x3x1x1xi8>, tensor<4xf32>, none) -> tensor<4x3x1x1xf32>
    %2 = onnx.DequantizeLinear(%b32, %bs, %none) {axis = 0 : i64} : (tensor<4xi32>, tensor<4xf32>, none) -> tensor<4xf32>
    %3 = onnx.Conv(%0, %1, %2) {onnx.name = "conv"} : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
    ```
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", "\"none\"", "scheme of layers without a rule">,
    Option<"method", "method", "std::string", "\"rtn\"", "how codes are found">,
    Option<"symmetric", "symmetric", "bool", "true", "weights have no zero points">,
    Option<"scaleRule", "scale-rule", "std::string", "\"default\"", "how the scale of a weight is chosen; default: absmax">,
    Option<"config", "config", "std::string", "\"\"", "YAML file with rules">,
    Option<"calibration", "calibration", "std::string", "\"\"", "statistics file">,
    Option<"activationType", "activation-type", "std::string", "\"uint8\"", "uint8 or int8">,
    Option<"activationSymmetric", "activation-symmetric", "bool", "false", "the zero point is in the middle">,
    Option<"minimumSQNR", "minimum-sqnr", "double", "30", "dB that rounding the input must leave of a product's output; 0: any">
  ];
  let statistics = [
    Statistic<"numProducts", "num-products", "Products with quantized weights">,
    Statistic<"numValues", "num-values", "Values between Q and DQ">
  ];
}

def ONNXCorrectBiasPass
    : ONNXStaticPass<"correct-bias", "Take back the mean error of rounded weights"> {
  let description = [{
    Rounding a weight moves the mean of an output by the sum of the weight's
    errors times the means of the input, which the statistics file has. The bias
    takes it back: see nibble/Quantizer/StaticActivations.h. A product without a
    bias gets one; MatMul an Add, unless one with a constant follows.

    Looks at products with a weight from onnx-insert-quantization, which has put
    the floats on the constants as `nibble.float_value`; removes that attribute
    also where it is told not to correct.

    Before:
    ```mlir
    %b = onnx.Constant {value = dense<[100, 200]> : tensor<2xi32>} : tensor<2xi32>
    ```
    After, the weight's errors add 0.5 and -0.25 to the means, in steps of 0.1:
    ```mlir
    %b = onnx.Constant {value = dense<[95, 202]> : tensor<2xi32>} : tensor<2xi32>
    ```
  }];
  let options = [
    Option<"calibration", "calibration", "std::string", "\"\"", "statistics file">,
    Option<"enable", "enable", "bool", "true", "false: only remove the floats">
  ];
  let statistics = [
    Statistic<"numCorrected", "num-corrected", "Products with a corrected bias">
  ];
}

def ONNXDecomposeActivationPass
    : Pass<"onnx-decompose-activation", "::mlir::func::FuncOp"> {
  let summary = "Write activations that other runtimes lack with older operators";
  let description = [{
    Swish, which is new in operator set 24, becomes a product with a Sigmoid.

    Before:
    ```mlir
    %y = onnx.Swish(%x) {onnx.name = "act"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ```
    After:
    ```mlir
    %0 = onnx.Sigmoid(%x) {onnx.name = "act_Sigmoid"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %y = onnx.Mul(%x, %0) {onnx.name = "act"} : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let statistics = [Statistic<"numDecomposed", "num-decomposed", "Operators that were written anew">];
  let dependentDialects = ["::nibble::onnx::ONNXDialect"];
}

class ONNXFusePass<string name, string title>
    : Pass<"onnx-fuse-" # name, "::mlir::func::FuncOp"> {
  let summary = title;
  let statistics = [Statistic<"numFused", "num-fused", "Forms that were fused">];
  let dependentDialects = ["::nibble::onnx::ONNXDialect"];
}

def ONNXFuseActivationPass
    : ONNXFusePass<"activation", "Write activations as one operator each"> {
  let description = [{
    Exporters without an operator for an activation write what it computes. The
    forms of Gelu (by erf, and by tanh with a cube as Pow or products), Swish
    (also with a factor, "QuickGelu"), Softplus, Mish and HardSwish become the
    operators, whatever the order and grouping of the factors. The constants
    must be the right ones up to the rounding of the element type, and nothing
    else may use a value inside of the form.

    A form that is nearly one of these gets a missed remark of the category
    `fusion` that says what differs.

    Before:
    ```mlir
    %0 = onnx.Div(%x, %sqrt2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
    %1 = onnx.Erf(%0) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    %2 = onnx.Add(%1, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
    %3 = onnx.Mul(%x, %2) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
    %y = onnx.Mul(%3, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
    ```
    After:
    ```mlir
    %y = onnx.Gelu(%x) {approximate = "none"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ```
  }];
}

def ONNXFuseNormalizationPass
    : ONNXFusePass<"normalization", "Write normalizations as one operator each"> {
  let description = [{
    `d / sqrt(mean(d^2) + epsilon)` over the last dimensions becomes
    RMSNormalization, or LayerNormalization where d is a tensor less its mean
    over the same dimensions. The square is a Pow or a product, the quotient a
    division, a product with a reciprocal or a power of -1/2. A product with a
    weight of the normalized shape and, of LayerNormalization, a sum with a bias
    belong to it; without a weight it is a constant of ones. Casts around the
    form from f16 or bf16 to f32 and back become `stash_type`.

    A mean over other dimensions, an epsilon that is not constant and the like
    leave the form, with a missed remark of the category `fusion`.

    Before:
    ```mlir
    %0 = onnx.Pow(%x, %two) : (tensor<?x?x64xf32>, tensor<f32>) -> tensor<?x?x64xf32>
    %1 = onnx.ReduceMean(%0, %last) : (tensor<?x?x64xf32>, tensor<1xi64>) -> tensor<?x?x1xf32>
    %2 = onnx.Add(%1, %eps) : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
    %3 = onnx.Sqrt(%2) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
    %4 = onnx.Div(%x, %3) : (tensor<?x?x64xf32>, tensor<?x?x1xf32>) -> tensor<?x?x64xf32>
    %y = onnx.Mul(%w, %4) : (tensor<64xf32>, tensor<?x?x64xf32>) -> tensor<?x?x64xf32>
    ```
    After:
    ```mlir
    %y = onnx.RMSNormalization(%x, %w) {epsilon = 1.0e-6 : f32} : (tensor<?x?x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
    ```
  }];
}

def ONNXFuseRotaryPass
    : ONNXFusePass<"rotary", "Write rotary embeddings as one operator"> {
  let description = [{
    `x * cos + rotate(x) * sin`, where rotate exchanges the halves of the last
    dimension (or, interleaved, neighbours) and negates the second of each pair
    (a, b), becomes RotaryEmbedding; so does `[a * cos - b * sin, b * cos + a *
    sin]`. The operator takes each cosine once: the pass proves that the halves
    of cosines and sines are equal, from the Concat of one tensor with itself or
    from a constant, through operators that keep it so, and computes half of
    them. A Concat with a part of x that is not rotated is `rotary_embedding_dim`.
    Heads are the dimension on which the cosines do not depend: the second or,
    for the operator of rank 3, the third.

    What looks like a rotation and stays gets a missed remark of the category
    `fusion`.

    Before:
    ```mlir
    %c = onnx.Concat(%f, %f) {axis = -1 : i64} : (tensor<1x1x7x4xf32>, tensor<1x1x7x4xf32>) -> tensor<1x1x7x8xf32>
    %cos = onnx.Cos(%c) : (tensor<1x1x7x8xf32>) -> tensor<1x1x7x8xf32>
    %sin = onnx.Sin(%c) : (tensor<1x1x7x8xf32>) -> tensor<1x1x7x8xf32>
    %a, %b = onnx.Split(%x, %none) {axis = -1 : i64, num_outputs = 2 : i64} : (tensor<1x4x7x8xf32>, none) -> (tensor<1x4x7x4xf32>, tensor<1x4x7x4xf32>)
    %n = onnx.Neg(%b) : (tensor<1x4x7x4xf32>) -> tensor<1x4x7x4xf32>
    %r = onnx.Concat(%n, %a) {axis = -1 : i64} : (tensor<1x4x7x4xf32>, tensor<1x4x7x4xf32>) -> tensor<1x4x7x8xf32>
    %0 = onnx.Mul(%x, %cos) : (tensor<1x4x7x8xf32>, tensor<1x1x7x8xf32>) -> tensor<1x4x7x8xf32>
    %1 = onnx.Mul(%r, %sin) : (tensor<1x4x7x8xf32>, tensor<1x1x7x8xf32>) -> tensor<1x4x7x8xf32>
    %y = onnx.Add(%0, %1) : (tensor<1x4x7x8xf32>, tensor<1x4x7x8xf32>) -> tensor<1x4x7x8xf32>
    ```
    After (squeezing the heads of %cos and %sin left out):
    ```mlir
    %cos = onnx.Cos(%f) : (tensor<1x7x4xf32>) -> tensor<1x7x4xf32>
    %sin = onnx.Sin(%f) : (tensor<1x7x4xf32>) -> tensor<1x7x4xf32>
    %y = onnx.RotaryEmbedding(%x, %cos, %sin, %none) : (tensor<1x4x7x8xf32>, tensor<1x7x4xf32>, tensor<1x7x4xf32>, none) -> tensor<1x4x7x8xf32>
    ```
  }];
}

def ONNXFuseAttentionPass
    : ONNXFusePass<"attention", "Write attention as one operator"> {
  let description = [{
    A Softmax between two products, `softmax(scale * q k^T + mask) v`, becomes
    Attention. Factors of scores, queries and keys become `scale`, c * tanh(s /
    c) becomes `softcap`; keys may be transposed in any way. Heads of keys and
    values that are repeated (Unsqueeze, Expand, Reshape) are not, and a Concat
    with keys and values of the past becomes the operands `past_key` and
    `past_value`, with the present ones as results. Queries, keys and values
    that are transposed from rank 3, with or without a RotaryEmbedding between,
    give the operator of rank 3.

    A mask that Range, comparisons, Trilu, Where and the like compute from
    positions alone is proven to be `is_causal` or a window, by evaluating it at
    a symbolic position; of a conjunction that hides scores by -infinity, the
    part that is. Every other mask stays as the operand. A finite number in a
    mask is taken for -infinity only if every row is sure to see a key: a row
    that sees none has equal weights with the one, and none with the other.

    What looks like attention and stays gets a missed remark of the category
    `fusion`.

    Before:
    ```mlir
    %0 = onnx.Transpose(%k) {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x4x?x8xf32>) -> tensor<?x4x8x?xf32>
    %1 = onnx.MatMul(%q, %0) : (tensor<?x4x?x8xf32>, tensor<?x4x8x?xf32>) -> tensor<?x4x?x?xf32>
    %2 = onnx.Mul(%1, %scale) : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xf32>
    %3 = onnx.Add(%2, %m) : (tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x4x?x?xf32>
    %4 = onnx.Softmax(%3) : (tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
    %y = onnx.MatMul(%4, %v) : (tensor<?x4x?x?xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
    ```
    After:
    ```mlir
    %y, %pk, %pv, %s = onnx.Attention(%q, %k, %v, %m, %none, %none, %none) {scale = 0.353553385 : f32}
      : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x1x?x?xf32>, none, none, none)
      -> (tensor<?x4x?x8xf32>, none, none, none)
    ```
  }];
  let statistics = [
    Statistic<"numFused", "num-fused", "Forms that were fused">,
    Statistic<"numFolded", "num-folded", "Operators that became rank 3">
  ];
}

def ONNXBuildGradientPass : Pass<"onnx-build-gradient", "::mlir::ModuleOp"> {
  let summary = "Add the derivatives of a result to a function";
  let description = [{
    Reverse-mode differentiation of the sum of a result's elements with respect
    to some arguments. The function gets one result more for each of them, the
    gradient, in the shape of the argument; those of named arguments are called
    `NAME.gradient`. Methods that learn from samples build on it.

    The derivatives are standard operators, so they are folded, differentiated
    again and compiled like any model. There are rules for elementwise operators
    and activations, broadcasting, movement, sums and means, Softmax, products,
    convolutions, layer and RMS normalization and rotary embedding; attention is
    first written as products. An operator between the arguments and the result
    without a rule is an error that names it. Of two equal operands of Max or
    Min the first is taken to be chosen; at 0 Relu and its like have slope 0.

    Before:
    ```mlir
    func.func @loss(%w: tensor<3xf32>) -> tensor<3xf32> {
      %0 = onnx.Exp(%w) : (tensor<3xf32>) -> tensor<3xf32>
      %y = onnx.Mul(%w, %0) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
      return %y : tensor<3xf32>
    }
    ```
    After `onnx-build-gradient{function=loss arguments=0}` and folding:
    ```mlir
    func.func @loss(%w: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
      %0 = onnx.Exp(%w) : (tensor<3xf32>) -> tensor<3xf32>
      %y = onnx.Mul(%w, %0) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
      %1 = onnx.Mul(%one, %0) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
      %2 = onnx.Mul(%one, %w) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
      %3 = onnx.Mul(%2, %0) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
      %g = onnx.Add(%1, %3) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
      return %y, %g : tensor<3xf32>, tensor<3xf32>
    }
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"main_graph\"",
           "the function that gets the derivatives">,
    Option<"result", "result", "unsigned", /*default=*/"0",
           "number of the result that is differentiated">,
    ListOption<"arguments", "arguments", "unsigned",
               "numbers of the arguments to differentiate by">
  ];
  let statistics = [
    Statistic<"numDifferentiated", "num-differentiated",
              "Operators on the way from the arguments to the result">
  ];
  let dependentDialects = ["::nibble::onnx::ONNXDialect"];
}

#endif // NIBBLE_DIALECT_ONNX_TRANSFORMS_PASSES_TD
