//===- ONNXMixerOps.td - Operators that mix positions of a sequence -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXMIXEROPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXMIXEROPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

def ONNX_CausalConvWithStateOp
    : ONNX_Op<"CausalConvWithState", "TTTT:TT"> {
  let summary = "depthwise convolution with the past";
  let description = [{
    Each channel of `input` (batch, channels, length), after the k - 1 elements
    of `past_state` (absent: zeros), convolved with its own kernel (channels, 1,
    k); then the activation (`silu` or `swish`: x sigmoid(x); `none`). The
    second result holds the last k - 1 elements for the next call.

    ```mlir
    %y, %s = onnx.CausalConvWithState(%x, %w, %none, %none) : (tensor<2x4x8xf32>, tensor<4x1x3xf32>, none, none) -> (tensor<2x4x8xf32>, tensor<2x4x2xf32>)
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_Float:$weight,
                   ONNX_Opt<ONNX_Float>:$bias,
                   ONNX_Opt<ONNX_Float>:$past_state,
                   ONNX_Str<"none">:$activation);
  let results = (outs ONNX_Float:$output, ONNX_Opt<ONNX_Float>:$present_state);
  let hasVerifier = 1;
}

def ONNX_LinearAttentionOp : ONNX_Op<"LinearAttention", "TTTSTT:TS"> {
  let summary = "attention with a state instead of keys and values";
  let description = [{
    Per key-value head a matrix S is carried over the positions: `S = e^g S + k
    (x)`, with `o = scale * q S`. The rule is `linear` (g = 0, x = v), `gated`
    (x = v), `delta` (g = 0, x = beta (v - S k)) or `gated_delta` (x = beta (v -
    e^g S k)). g is `decay`, per head or per element of the key; `scale` 0 means
    1/sqrt(size of a key). Operands are (batch, length, heads * size), the state
    (batch, kv heads, key size, value size); query heads share key-value heads
    in groups.

    ```mlir
    %y, %s = onnx.LinearAttention(%q, %k, %v, %none, %none, %none) {q_num_heads = 2 : i64, kv_num_heads = 2 : i64, update_rule = "linear"} : (tensor<1x3x8xf32>, tensor<1x3x8xf32>, tensor<1x3x8xf32>, none, none, none) -> (tensor<1x3x8xf32>, tensor<1x2x4x4xf32>)
    ```
  }];
  let arguments = (ins ONNX_Float:$query, ONNX_Float:$key, ONNX_Float:$value,
                   ONNX_Opt<ONNX_Float>:$past_state,
                   ONNX_Opt<ONNX_Float>:$decay, ONNX_Opt<ONNX_Float>:$beta,
                   ONNX_Int<64>:$chunk_size, ONNX_I64Attr:$kv_num_heads,
                   ONNX_I64Attr:$q_num_heads, ONNX_Real<"0.0f">:$scale,
                   ONNX_Str<"gated_delta">:$update_rule);
  let results = (outs ONNX_Float:$output, ONNX_Opt<ONNX_Float>:$present_state);
  let hasVerifier = 1;
}

def ONNX_SwiGLUOp : ONNX_Op<"SwiGLU", "TT:T", "SameShape"> {
  let summary = "gated unit";
  let description = [{
    For every element: `y = a * sigmoid(alpha * a) * b`.

    ```mlir
    %y = onnx.SwiGLU(%a, %b) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$A, ONNX_Float:$B, ONNX_Real<"1.0f">:$alpha);
  let results = (outs ONNX_Float:$Y);
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXMIXEROPS_TD
