//===- ONNXNNOps.td - Products, convolutions and layers ----*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXNNOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXNNOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

def ONNX_MatMulOp : ONNX_Op<"MatMul", "TT:T"> {
  let summary = "matrix product";
  let description = [{
    `y[.., m, n] = sum over k of a[.., m, k] * b[.., k, n]`. The leading
    dimensions broadcast; a 1-D operand is a row (left) or a column (right)
    whose dimension disappears again.

    ```mlir
    %y = onnx.MatMul(%a, %b) : (tensor<?x7x64xf32>, tensor<64x32xf32>) -> tensor<?x7x32xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$A, ONNX_Num:$B);
  let results = (outs ONNX_Num:$Y);
}

def ONNX_GemmOp : ONNX_Op<"Gemm", "TTT:T"> {
  let summary = "general matrix product";
  let description = [{
    `y = alpha * A' * B' + beta * C`, where A' is A or, with `transA`, its
    transpose, and B' likewise. `C` broadcasts to the result.

    ```mlir
    %y = onnx.Gemm(%a, %b, %c) {transB = 1 : i64} : (tensor<?x64xf32>, tensor<10x64xf32>, tensor<10xf32>) -> tensor<?x10xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$A, ONNX_Num:$B, ONNX_Opt<ONNX_Num>:$C,
                       ONNX_Real<"1.0f">:$alpha, ONNX_Real<"1.0f">:$beta,
                       ONNX_Int<0>:$transA, ONNX_Int<0>:$transB);
  let results = (outs ONNX_Num:$Y);
  let hasVerifier = 1;
}

def ONNX_EinsumOp : ONNX_Op<"Einsum", "T:T"> {
  let summary = "Einstein's sum";
  let description = [{
    Product of the operands summed over the indices that `equation` has on the
    left of `->` only; `...` stands for leading dimensions that broadcast.
    Without `->` the result has the indices that occur once, in alphabetical
    order.

    ```mlir
    %y = onnx.Einsum(%a, %b) {equation = "bij,bjk->bik"} : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>
    ```
  }];
  let arguments = (ins Variadic<ONNX_Num>:$Inputs, StrAttr:$equation);
  let results = (outs ONNX_Num:$Output);
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

def ONNX_ConvOp : ONNX_Op<"Conv", "TTT:T"> {
  let summary = "convolution";
  let description = [{
    Cross-correlation of `X` (N x C x D1 x ... ) with `W` (M x C/group x k1 x
    ...) plus the bias `B` (M): `y[n, m, o] = B[m] + sum over c, k of W[m, c, k]
    * X[n, c, o * strides + k * dilations - pads]`. `pads` holds the numbers
    before each spatial dimension, then those after; `auto_pad` may give them
    instead.

    ```mlir
    %y = onnx.Conv(%x, %w, %b) {pads = array<i64: 1, 1, 1, 1>} : (tensor<?x3x8x8xf32>, tensor<16x3x3x3xf32>, tensor<16xf32>) -> tensor<?x16x8x8xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$W, ONNX_Opt<ONNX_Float>:$B,
                       ONNX_Str<"NOTSET">:$auto_pad, ONNX_OptInts:$dilations,
                       ONNX_Int<1>:$group, ONNX_OptInts:$kernel_shape,
                       ONNX_OptInts:$pads, ONNX_OptInts:$strides);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

def ONNX_ConvTransposeOp : ONNX_Op<"ConvTranspose", "TTT:T"> {
  let summary = "transposed convolution";
  let description = [{
    The gradient of a convolution with respect to its input: `X` (N x C x ...),
    `W` (C x M/group x k1 x ...), `B` (M). A spatial size is `strides * (in - 1)
    + output_padding + (k - 1) * dilations + 1 - pads`; `output_shape` gives it
    instead of `pads`.

    ```mlir
    %y = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>, tensor<8x4x2x2xf32>, none) -> tensor<1x4x8x8xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$W, ONNX_Opt<ONNX_Float>:$B,
                       ONNX_Str<"NOTSET">:$auto_pad, ONNX_OptInts:$dilations,
                       ONNX_Int<1>:$group, ONNX_OptInts:$kernel_shape,
                       ONNX_OptInts:$output_padding,
                       ONNX_OptInts:$output_shape, ONNX_OptInts:$pads,
                       ONNX_OptInts:$strides);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

def ONNX_MaxPoolOp : ONNX_Op<"MaxPool", "T:Tl"> {
  let summary = "maximum over windows";
  let description = [{
    The largest element of each window of `kernel_shape`; padding never wins.
    `ceil_mode` rounds the number of windows up. The optional second result is
    the index of the element in the flattened operand, counted row by row or,
    with `storage_order`, column by column.

    ```mlir
    %y, %i = onnx.MaxPool(%x) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> (tensor<1x8x2x2xf32>, none)
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_Str<"NOTSET">:$auto_pad,
                       ONNX_Int<0>:$ceil_mode, ONNX_OptInts:$dilations,
                       DenseI64ArrayAttr:$kernel_shape, ONNX_OptInts:$pads,
                       ONNX_OptInts:$strides, ONNX_Int<0>:$storage_order);
  let results = (outs ONNX_Num:$Y, ONNX_Opt<ONNX_I64>:$Indices);
  let hasVerifier = 1;
}

def ONNX_AveragePoolOp : ONNX_Op<"AveragePool", "T:T"> {
  let summary = "mean over windows";
  let description = [{
    The mean of each window of `kernel_shape`, of the elements inside the
    operand only unless `count_include_pad` is 1.

    ```mlir
    %y = onnx.AveragePool(%x) {kernel_shape = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> tensor<1x8x3x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Str<"NOTSET">:$auto_pad,
                       ONNX_Int<0>:$ceil_mode, ONNX_OptInts:$dilations,
                       DenseI64ArrayAttr:$kernel_shape, ONNX_OptInts:$pads,
                       ONNX_OptInts:$strides, ONNX_Int<0>:$count_include_pad);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

def ONNX_LpPoolOp : ONNX_Op<"LpPool", "T:T"> {
  let summary = "p-norm over windows";
  let description = [{
    `y = (sum |x|^p)^(1/p)` over each window of `kernel_shape`.

    ```mlir
    %y = onnx.LpPool(%x) {kernel_shape = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> tensor<1x8x3x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Str<"NOTSET">:$auto_pad,
                       ONNX_Int<0>:$ceil_mode, ONNX_OptInts:$dilations,
                       DenseI64ArrayAttr:$kernel_shape, ONNX_OptInts:$pads,
                       ONNX_OptInts:$strides, ONNX_Int<2>:$p);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

def ONNX_GlobalAveragePoolOp : ONNX_Op<"GlobalAveragePool", "T:T", "GlobalPool"> {
  let summary = "mean over all pixels";
  let description = [{
    The mean over all spatial dimensions, which stay with size one.

    ```mlir
    %y = onnx.GlobalAveragePool(%x) : (tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_GlobalMaxPoolOp : ONNX_Op<"GlobalMaxPool", "T:T", "GlobalPool"> {
  let summary = "maximum over all pixels";
  let description = [{
    The largest element over all spatial dimensions, which stay with size one.

    ```mlir
    %y = onnx.GlobalMaxPool(%x) : (tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_GlobalLpPoolOp : ONNX_Op<"GlobalLpPool", "T:T", "GlobalPool"> {
  let summary = "p-norm over all pixels";
  let description = [{
    `y = (sum |x|^p)^(1/p)` over all spatial dimensions, which stay with size
    one.

    ```mlir
    %y = onnx.GlobalLpPool(%x) : (tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Int<2>:$p);
  let results = (outs ONNX_Float:$Y);
}

//===----------------------------------------------------------------------===//
// Normalization
//===----------------------------------------------------------------------===//

def ONNX_BatchNormalizationOp : ONNX_Op<"BatchNormalization", "T....:T.."> {
  let summary = "normalization per channel";
  let description = [{
    `y = (x - mean) / sqrt(var + epsilon) * scale + B` with one value of each
    per channel (dimension 1). With `training_mode` mean and variance are those
    of the batch and the other results the running ones: `momentum * old + (1 -
    momentum) * batch`.

    ```mlir
    %y, %m, %v = onnx.BatchNormalization(%x, %s, %b, %mean, %var) : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<1x8x4x4xf32>, none, none)
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$scale, ONNX_Float:$B,
                       ONNX_Float:$input_mean, ONNX_Float:$input_var,
                       ONNX_Real<"1e-05f">:$epsilon,
                       ONNX_Real<"0.9f">:$momentum,
                       ONNX_Int<0>:$training_mode);
  let results = (outs ONNX_Float:$Y, ONNX_Opt<ONNX_Float>:$running_mean,
                      ONNX_Opt<ONNX_Float>:$running_var);
  let hasCanonicalizer = 1;
}

def ONNX_InstanceNormalizationOp : ONNX_Op<"InstanceNormalization", "TTT:T", "SameShape"> {
  let summary = "normalization per image and channel";
  let description = [{
    `y = scale * (x - mean) / sqrt(variance + epsilon) + B` with mean and
    variance over the spatial dimensions of each image and channel.

    ```mlir
    %y = onnx.InstanceNormalization(%x, %s, %b) : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_Float:$scale, ONNX_Float:$B,
                       ONNX_Real<"1e-05f">:$epsilon);
  let results = (outs ONNX_Float:$output);
}

def ONNX_LayerNormalizationOp : ONNX_Op<"LayerNormalization", "TTT:T.."> {
  let summary = "normalization over the last dimensions";
  let description = [{
    `y = (x - mean) / sqrt(variance + epsilon) * Scale + B` with mean and
    variance over the dimensions from `axis` on, computed in the type with the
    ONNX number `stash_type`. The optional results are the mean and 1 /
    sqrt(variance + epsilon).

    ```mlir
    %y, %m, %d = onnx.LayerNormalization(%x, %s, %b) : (tensor<?x7x64xf32>, tensor<64xf32>, tensor<64xf32>) -> (tensor<?x7x64xf32>, none, none)
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$Scale,
                       ONNX_Opt<ONNX_Float>:$B, ONNX_Int<-1>:$axis,
                       ONNX_Real<"1e-05f">:$epsilon, ONNX_Int<1>:$stash_type);
  let results = (outs ONNX_Float:$Y, ONNX_Opt<ONNX_Float>:$Mean,
                      ONNX_Opt<ONNX_Float>:$InvStdDev);
  let hasVerifier = 1;
}

def ONNX_RMSNormalizationOp : ONNX_Op<"RMSNormalization", ".V:V", "SameShape"> {
  let summary = "root mean square normalization";
  let description = [{
    `y = x / sqrt(mean(x^2) + epsilon) * scale` with the mean over the
    dimensions from `axis` on, computed in the type with the ONNX number
    `stash_type`.

    ```mlir
    %y = onnx.RMSNormalization(%x, %s) : (tensor<?x7x64xf32>, tensor<64xf32>) -> tensor<?x7x64xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$scale, ONNX_Int<-1>:$axis,
                       ONNX_Real<"1e-05f">:$epsilon, ONNX_Int<1>:$stash_type);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

def ONNX_GroupNormalizationOp : ONNX_Op<"GroupNormalization", "TTT:T", "SameShape"> {
  let summary = "normalization per group of channels";
  let description = [{
    The channels are split in `num_groups` groups; `y = scale * (x - mean) /
    sqrt(variance + epsilon) + bias` with mean and variance per image and group,
    `scale` and `bias` per channel.

    ```mlir
    %y = onnx.GroupNormalization(%x, %s, %b) {num_groups = 2 : i64} : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$scale, ONNX_Float:$bias,
                       ONNX_Real<"1e-05f">:$epsilon, ONNX_I64Attr:$num_groups,
                       ONNX_Int<1>:$stash_type);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

def ONNX_LpNormalizationOp : ONNX_Op<"LpNormalization", "T:T", "SameShape"> {
  let summary = "scale to unit norm";
  let description = [{
    `y = x / (sum |x|^p)^(1/p)` along `axis`, p 1 or 2.

    ```mlir
    %y = onnx.LpNormalization(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_Int<-1>:$axis, ONNX_Int<2>:$p);
  let results = (outs ONNX_Float:$output);
  let hasVerifier = 1;
}

def ONNX_MeanVarianceNormalizationOp : ONNX_Op<"MeanVarianceNormalization", "T:T", "SameShape"> {
  let summary = "normalization to mean 0 and variance 1";
  let description = [{
    `y = (x - mean) / (sqrt(variance) + 1e-9)` over `axes` (absent: 0, 2, 3).

    ```mlir
    %y = onnx.MeanVarianceNormalization(%x) {axes = array<i64: 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_OptInts:$axes);
  let results = (outs ONNX_Float:$Y);
}

def ONNX_LRNOp : ONNX_Op<"LRN", "T:T", "SameShape"> {
  let summary = "local response normalization";
  let description = [{
    `y = x / (bias + alpha / size * s)^beta`, where s is the sum of squares over
    the `size` channels around the element.

    ```mlir
    %y = onnx.LRN(%x) {size = 3 : i64} : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Real<"0.0001f">:$alpha,
                       ONNX_Real<"0.75f">:$beta, ONNX_Real<"1.0f">:$bias,
                       ONNX_I64Attr:$size);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

def ONNX_DropoutOp : ONNX_Op<"Dropout", "T..:Tb", "SameShape"> {
  let summary = "random zeros in training";
  let description = [{
    In inference (training_mode absent or false) the operand itself and a mask
    of ones. In training each element is zero with probability `ratio` (default
    1/2), the others are divided by `1 - ratio`.

    ```mlir
    %y, %mask = onnx.Dropout(%x, %none, %none) : (tensor<2x3xf32>, none, none) -> (tensor<2x3xf32>, none)
    ```
  }];
  let arguments = (ins ONNX_Float:$data, ONNX_Opt<ONNX_Float>:$ratio,
                       ONNX_Opt<ONNX_Bool>:$training_mode, ONNX_OptInt:$seed);
  let results = (outs ONNX_Float:$output, ONNX_Opt<ONNX_Bool>:$mask);
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

def ONNX_AttentionOp : ONNX_Op<"Attention", "TTV.TV.:TTVT"> {
  let summary = "scaled dot-product attention";
  let description = [{
    `Y = softmax(scale * Q K^T + mask) V` per head, for operands of shape
    (batch, heads, length, size) or (batch, length, heads * size), the latter
    with `q_num_heads` and `kv_num_heads`. Fewer key/value heads than query
    heads are repeated. `scale` defaults to 1/sqrt(size). `attn_mask` is added
    (truth values: false masks out) and `is_causal` masks the future; window
    sizes limit how far a query sees. Past keys and values are put before `K`
    and `V`, the present ones are results. `softcap` c limits scores to c *
    tanh(s / c). The last result is the score matrix after the step
    `qk_matmul_output_mode`.

    ```mlir
    %y, %pk, %pv, %s = onnx.Attention(%q, %k, %v, %none, %none, %none, %none) {is_causal = 1 : i64}
      : (tensor<1x8x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, none, none, none, none)
      -> (tensor<1x8x7x16xf32>, none, none, none)
    ```
  }];
  let arguments = (ins ONNX_Float:$Q, ONNX_Float:$K, ONNX_Float:$V,
                       ONNX_Opt<ONNX_Any>:$attn_mask,
                       ONNX_Opt<ONNX_Float>:$past_key,
                       ONNX_Opt<ONNX_Float>:$past_value,
                       ONNX_Opt<ONNX_I64>:$nonpad_kv_seqlen,
                       ONNX_Int<0>:$is_causal, ONNX_OptInt:$kv_num_heads,
                       ONNX_Int<-1>:$left_window_size,
                       ONNX_OptInt:$q_num_heads,
                       ONNX_Int<0>:$qk_matmul_output_mode,
                       ONNX_Int<-1>:$right_window_size, ONNX_OptReal:$scale,
                       ONNX_Real<"0.0f">:$softcap,
                       ONNX_OptInt:$softmax_precision);
  let results = (outs ONNX_Float:$Y, ONNX_Opt<ONNX_Float>:$present_key,
                      ONNX_Opt<ONNX_Float>:$present_value,
                      ONNX_Opt<ONNX_Float>:$qk_matmul_output);
  let hasVerifier = 1;
}

def ONNX_RotaryEmbeddingOp : ONNX_Op<"RotaryEmbedding", "TTT.:T", "SameShape"> {
  let summary = "rotary position embedding";
  let description = [{
    Rotates pairs of the first `rotary_embedding_dim` elements of each head (0:
    all) by the angle of the position: `(a cos - b sin, a sin + b cos)`. A pair
    is element i and i + half, or with `interleaved` 2i and 2i + 1. `cos_cache`
    and `sin_cache` are tables by position when `position_ids` is present, else
    (batch, length, half). `X` is (batch, heads, length, size), or (batch,
    length, heads * size) with `num_heads`.

    ```mlir
    %y = onnx.RotaryEmbedding(%x, %cos, %sin, %none) : (tensor<1x8x7x16xf32>, tensor<1x7x8xf32>, tensor<1x7x8xf32>, none) -> tensor<1x8x7x16xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$cos_cache,
                       ONNX_Float:$sin_cache, ONNX_Opt<ONNX_I64>:$position_ids,
                       ONNX_Int<0>:$interleaved, ONNX_OptInt:$num_heads,
                       ONNX_Int<0>:$rotary_embedding_dim);
  let results = (outs ONNX_Float:$Y);
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Recurrent networks
//===----------------------------------------------------------------------===//

def ONNX_RNNOp : ONNX_Op<"RNN", "TTTT.T:TT", "Recurrent"> {
  let summary = "simple recurrent layer";
  let description = [{
    `h = f(W x + R h' + Wb + Rb)`, f Tanh unless `activations` says otherwise. X
    is (length, batch, input), or with `layout` 1 (batch, length, input);
    `direction` is `forward`, `reverse` or `bidirectional` (D = 1 or 2
    directions). The results, each optional, are all hidden states (length, D,
    batch, hidden) and the last ones (D, batch, hidden).

    ```mlir
    %y, %h = onnx.RNN(%x, %w, %r, %none, %none, %none) {hidden_size = 4 : i64} : (tensor<5x1x3xf32>, tensor<1x4x3xf32>, tensor<1x4x4xf32>, none, none, none) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>)
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$W, ONNX_Float:$R,
                       ONNX_Opt<ONNX_Float>:$B,
                       ONNX_Opt<ONNX_I32>:$sequence_lens,
                       ONNX_Opt<ONNX_Float>:$initial_h,
                       ONNX_OptReals:$activation_alpha,
                       ONNX_OptReals:$activation_beta,
                       ONNX_OptStrs:$activations, ONNX_OptReal:$clip,
                       ONNX_Str<"forward">:$direction,
                       ONNX_OptInt:$hidden_size, ONNX_Int<0>:$layout);
  let results = (outs ONNX_Opt<ONNX_Float>:$Y, ONNX_Opt<ONNX_Float>:$Y_h);
  let hasVerifier = 1;
}

def ONNX_GRUOp : ONNX_Op<"GRU", "TTTT.T:TT", "Recurrent"> {
  let summary = "gated recurrent unit";
  let description = [{
    With the gates z (update) and r (reset), in this order in `W` and `R`: `h =
    (1 - z) * g(Wh x + Rh (r * h') + b) + z * h'`; `linear_before_reset`
    multiplies by r after the product with Rh. X is (length, batch, input), or
    with `layout` 1 (batch, length, input); `direction` is `forward`, `reverse`
    or `bidirectional` (D = 1 or 2 directions). The results, each optional, are
    all hidden states (length, D, batch, hidden) and the last ones (D, batch,
    hidden).

    ```mlir
    %y, %h = onnx.GRU(%x, %w, %r, %none, %none, %none) {hidden_size = 4 : i64} : (tensor<5x1x3xf32>, tensor<1x12x3xf32>, tensor<1x12x4xf32>, none, none, none) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>)
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$W, ONNX_Float:$R,
                       ONNX_Opt<ONNX_Float>:$B,
                       ONNX_Opt<ONNX_I32>:$sequence_lens,
                       ONNX_Opt<ONNX_Float>:$initial_h,
                       ONNX_OptReals:$activation_alpha,
                       ONNX_OptReals:$activation_beta,
                       ONNX_OptStrs:$activations, ONNX_OptReal:$clip,
                       ONNX_Str<"forward">:$direction,
                       ONNX_OptInt:$hidden_size, ONNX_Int<0>:$layout,
                       ONNX_Int<0>:$linear_before_reset);
  let results = (outs ONNX_Opt<ONNX_Float>:$Y, ONNX_Opt<ONNX_Float>:$Y_h);
  let hasVerifier = 1;
}

def ONNX_LSTMOp : ONNX_Op<"LSTM", "TTTT.TTT:TTT", "Recurrent"> {
  let summary = "long short-term memory";
  let description = [{
    With the gates i, o, f, c in this order in `W` and `R`: `C = f * C' + i *
    g(c)`, `h = o * g(C)`; `P` holds peephole weights of i, o, f. `input_forget`
    couples f = 1 - i. X is (length, batch, input), or with `layout` 1 (batch,
    length, input); `direction` is `forward`, `reverse` or `bidirectional` (D =
    1 or 2 directions). The results, each optional, are all hidden states
    (length, D, batch, hidden) and the last ones (D, batch, hidden). The third
    result is the last cell state.

    ```mlir
    %y, %h, %c = onnx.LSTM(%x, %w, %r, %none, %none, %none, %none, %none) {hidden_size = 4 : i64} : (tensor<5x1x3xf32>, tensor<1x16x3xf32>, tensor<1x16x4xf32>, none, none, none, none, none) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>)
    ```
  }];
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$W, ONNX_Float:$R,
                       ONNX_Opt<ONNX_Float>:$B,
                       ONNX_Opt<ONNX_I32>:$sequence_lens,
                       ONNX_Opt<ONNX_Float>:$initial_h,
                       ONNX_Opt<ONNX_Float>:$initial_c,
                       ONNX_Opt<ONNX_Float>:$P,
                       ONNX_OptReals:$activation_alpha,
                       ONNX_OptReals:$activation_beta,
                       ONNX_OptStrs:$activations, ONNX_OptReal:$clip,
                       ONNX_Str<"forward">:$direction,
                       ONNX_OptInt:$hidden_size, ONNX_Int<0>:$input_forget,
                       ONNX_Int<0>:$layout);
  let results = (outs ONNX_Opt<ONNX_Float>:$Y, ONNX_Opt<ONNX_Float>:$Y_h,
                      ONNX_Opt<ONNX_Float>:$Y_c);
  let hasVerifier = 1;
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXNNOPS_TD
