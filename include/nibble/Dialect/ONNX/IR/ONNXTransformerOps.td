//===- ONNXTransformerOps.td - Transformers of com.microsoft *- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention and its neighbours as ONNX Runtime's tools write them (the model
// builder of ONNX Runtime GenAI, the transformer optimizer that Optimum uses):
// domain com.microsoft, version 1, as its operator documentation
// (ContribOperators.md) defines them, and SimplifiedLayerNormalization, which
// ONNX Runtime registers in the default domain. `onnx-decompose-microsoft`
// writes them with standard operators.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXTRANSFORMEROPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXTRANSFORMEROPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

def ONNX_MicrosoftGroupQueryAttentionOp
    : ONNX_MicrosoftOp<"GroupQueryAttention", "TTT..iiTTlTT..TT:T..T"> {
  let summary = "causal attention with a cache and fewer key than query heads";
  let description = [{
    `query` is (batch, length, heads * size), `key` and `value` (batch, length,
    kv_heads * size); without them `query` holds all three side by side.
    `seqlens_k[b] + 1` is the number of valid positions of batch entry b after
    this step, `total_sequence_length` the largest of them. If it is the length
    of the query the step is a prompt, whose positions count from 0; texts are
    padded on the right. Else the new positions are the last ones, and what
    was before them is in `past_key` and `past_value`, (batch, kv_heads, past,
    size): the new keys and values are written behind it, for each batch entry
    at its own place. The present ones have the longer of `past` and
    `total_sequence_length` positions, so that a past with room to spare, shared
    with the present, never moves.

    With `do_rotary` queries and keys are rotated by their position (or by
    `position_ids`), after a root mean square normalization of each head by
    `q_norm_weight` and `k_norm_weight`. `local_window_size` is the number of
    positions that a query sees, itself included. `head_sink` (with
    `smooth_softmax` 0 for all heads) is a score that takes part in the softmax
    and has no value.

    ```mlir
    %y, %pk, %pv, %s = onnx.microsoft.GroupQueryAttention(%qkv, %none, %none, %k, %v, %len, %total, %cos, %sin, %none, %none, %none, %none, %none, %none, %none) {do_rotary = 1 : i64, kv_num_heads = 2 : i64, num_heads = 4 : i64}
      : (tensor<1x?x128xf32>, none, none, tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32>, tensor<1xi32>, tensor<i32>, tensor<64x8xf32>, tensor<64x8xf32>, none, none, none, none, none, none, none)
      -> (tensor<1x?x64xf32>, tensor<1x2x?x16xf32>, tensor<1x2x?x16xf32>, none)
    ```
  }];
  let arguments = (ins ONNX_Float:$query, ONNX_Opt<ONNX_Float>:$key,
                       ONNX_Opt<ONNX_Float>:$value,
                       ONNX_Opt<ONNX_Quant>:$past_key,
                       ONNX_Opt<ONNX_Quant>:$past_value, ONNX_I32:$seqlens_k,
                       ONNX_I32:$total_sequence_length,
                       ONNX_Opt<ONNX_Float>:$cos_cache,
                       ONNX_Opt<ONNX_Float>:$sin_cache,
                       ONNX_Opt<ONNX_I64>:$position_ids,
                       ONNX_Opt<ONNX_Float>:$attention_bias,
                       ONNX_Opt<ONNX_Float>:$head_sink,
                       ONNX_Opt<ONNX_Float>:$k_scale,
                       ONNX_Opt<ONNX_Float>:$v_scale,
                       ONNX_Opt<ONNX_Float>:$q_norm_weight,
                       ONNX_Opt<ONNX_Float>:$k_norm_weight,
                       ONNX_Int<1>:$causal, ONNX_Int<0>:$do_rotary,
                       ONNX_Str<"NONE">:$k_quant_type,
                       ONNX_Int<0>:$kv_cache_bit_width,
                       ONNX_I64Attr:$kv_num_heads,
                       ONNX_Int<-1>:$local_window_size, ONNX_I64Attr:$num_heads,
                       ONNX_Real<"1e-06f">:$qk_norm_epsilon,
                       ONNX_Int<0>:$qk_output,
                       ONNX_Int<0>:$rotary_interleaved,
                       ONNX_Real<"0.0f">:$scale,
                       ONNX_Int<0>:$sliding_window_cache,
                       ONNX_Int<-1>:$smooth_softmax, ONNX_Real<"0.0f">:$softcap,
                       ONNX_Str<"NONE">:$v_quant_type);
  let results = (outs ONNX_Float:$output, ONNX_Opt<ONNX_Quant>:$present_key,
                      ONNX_Opt<ONNX_Quant>:$present_value,
                      ONNX_Opt<ONNX_Float>:$output_qk);
  let hasVerifier = 1;
}

def ONNX_MicrosoftMultiHeadAttentionOp
    : ONNX_MicrosoftOp<"MultiHeadAttention", "TTTTiTTTii:TTTT"> {
  let summary = "attention of projected queries, keys and values";
  let description = [{
    `query` (batch, length, heads * size), `key` and `value` (batch, keys, heads
    * size) get their part of `bias`. Also: one tensor (batch, length, heads, 3,
    size) as `query`, a tensor (batch, keys, heads, 2, size) as `key`, or keys
    and values that are ready, (batch, heads, keys, size). `past_key` and
    `past_value` go before them.

    Where `key_padding_mask` is 0, (batch, keys) or (batch, length, keys), or
    from the position on that it gives, (batch), `mask_filter_value` is added to
    the scores, and `attention_bias` everywhere.

    ```mlir
    %y, %pk, %pv, %s = onnx.microsoft.MultiHeadAttention(%q, %k, %v, %none, %m, %none, %none, %none, %none, %none) {num_heads = 4 : i64}
      : (tensor<1x7x64xf32>, tensor<1x7x64xf32>, tensor<1x7x64xf32>, none, tensor<1x7xi32>, none, none, none, none, none)
      -> (tensor<1x7x64xf32>, none, none, none)
    ```
  }];
  let arguments = (ins ONNX_Float:$query, ONNX_Opt<ONNX_Float>:$key,
                       ONNX_Opt<ONNX_Float>:$value, ONNX_Opt<ONNX_Float>:$bias,
                       ONNX_Opt<ONNX_I32>:$key_padding_mask,
                       ONNX_Opt<ONNX_Float>:$attention_bias,
                       ONNX_Opt<ONNX_Float>:$past_key,
                       ONNX_Opt<ONNX_Float>:$past_value,
                       ONNX_Opt<ONNX_I32>:$past_sequence_length,
                       ONNX_Opt<ONNX_I32>:$cache_indirection,
                       ONNX_Real<"-10000.0f">:$mask_filter_value,
                       ONNX_I64Attr:$num_heads, ONNX_Real<"0.0f">:$scale,
                       ONNX_Int<0>:$unidirectional);
  let results = (outs ONNX_Float:$output, ONNX_Opt<ONNX_Float>:$present_key,
                      ONNX_Opt<ONNX_Float>:$present_value,
                      ONNX_Opt<ONNX_Float>:$qk);
  let hasVerifier = 1;
}

def ONNX_MicrosoftAttentionOp : ONNX_MicrosoftOp<"Attention", "TTTiTTi:TT"> {
  let summary = "attention with the projections of its input";
  let description = [{
    `input * weights + bias` are the queries, keys and values side by side, each
    of a third of the columns, or of `qkv_hidden_sizes`. `past` is (2, batch,
    heads, past, size), keys before values; `present` likewise.

    `mask_index` is a mask of 0 and 1, (batch, keys), (batch, length, keys) or
    (batch, 1, longest, longest); or the end of each text, (batch), or all ends
    and then all starts, (2 * batch). `mask_filter_value` is added to the scores
    outside, `attention_bias` everywhere. With `unidirectional` a query sees
    what is before it.

    ```mlir
    %y, %p = onnx.microsoft.Attention(%x, %w, %b, %m, %none, %none, %none) {num_heads = 4 : i64}
      : (tensor<1x7x64xf32>, tensor<64x192xf32>, tensor<192xf32>, tensor<1x7xi32>, none, none, none) -> (tensor<1x7x64xf32>, none)
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_Float:$weights,
                       ONNX_Opt<ONNX_Float>:$bias,
                       ONNX_Opt<ONNX_I32>:$mask_index,
                       ONNX_Opt<ONNX_Float>:$past,
                       ONNX_Opt<ONNX_Float>:$attention_bias,
                       ONNX_Opt<ONNX_I32>:$past_sequence_length,
                       ONNX_Int<0>:$do_rotary,
                       ONNX_Real<"-10000.0f">:$mask_filter_value,
                       ONNX_I64Attr:$num_heads,
                       ONNX_Int<0>:$past_present_share_buffer,
                       ONNX_OptInts:$qkv_hidden_sizes,
                       ONNX_Int<0>:$rotary_embedding_dim,
                       ONNX_Real<"0.0f">:$scale, ONNX_Int<0>:$unidirectional);
  let results = (outs ONNX_Float:$output, ONNX_Opt<ONNX_Float>:$present);
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

def ONNX_MicrosoftRotaryEmbeddingOp
    : ONNX_MicrosoftOp<"RotaryEmbedding", "T.TT:T", "SameShape"> {
  let summary = "rotary position embedding";
  let description = [{
    `onnx.RotaryEmbedding` with tables by position; a `position_ids` of one
    element is the position of the first token of every text.

    ```mlir
    %y = onnx.microsoft.RotaryEmbedding(%x, %p, %cos, %sin) : (tensor<1x8x7x16xf32>, tensor<1x7xi64>, tensor<64x8xf32>, tensor<64x8xf32>) -> tensor<1x8x7x16xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$input, ONNX_I64:$position_ids,
                       ONNX_Float:$cos_cache, ONNX_Float:$sin_cache,
                       ONNX_Int<0>:$interleaved,
                       ONNX_Int<0>:$is_packed_batching, ONNX_Int<0>:$num_heads,
                       ONNX_Int<0>:$rotary_embedding_dim,
                       ONNX_Real<"1.0f">:$scale);
  let results = (outs ONNX_Float:$output);
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Normalization
//===----------------------------------------------------------------------===//

/// ONNX Runtime registers the operator in the default domain; some exporters
/// name com.microsoft.
class ONNX_SimplifiedLayerNormalization<string name> : ONNX_Op<name, ".V:Vf"> {
  let arguments = (ins ONNX_Float:$X, ONNX_Float:$scale, ONNX_Int<-1>:$axis,
                       ONNX_Real<"1e-05f">:$epsilon, ONNX_Int<1>:$stash_type);
  let results = (outs ONNX_Float:$Y, ONNX_Opt<ONNX_Float>:$inv_std_var);
}

def ONNX_SimplifiedLayerNormalizationOp
    : ONNX_SimplifiedLayerNormalization<"SimplifiedLayerNormalization"> {
  let summary = "root mean square normalization, as ONNX Runtime names it";
  let description = [{
    `onnx.RMSNormalization` before the standard had it; the second result is `1 /
    sqrt(mean(x^2) + epsilon)`.

    ```mlir
    %y, %d = onnx.SimplifiedLayerNormalization(%x, %s) : (tensor<1x7x64xf32>, tensor<64xf32>) -> (tensor<1x7x64xf32>, none)
    ```
  }];
}

def ONNX_MicrosoftSimplifiedLayerNormalizationOp
    : ONNX_SimplifiedLayerNormalization<
          "microsoft.SimplifiedLayerNormalization"> {
  let summary = "root mean square normalization";
  let description = [{
    `onnx.SimplifiedLayerNormalization` in the domain com.microsoft.

    ```mlir
    %y, %d = onnx.microsoft.SimplifiedLayerNormalization(%x, %s) : (tensor<1x7x64xf32>, tensor<64xf32>) -> (tensor<1x7x64xf32>, none)
    ```
  }];
}

def ONNX_MicrosoftEmbedLayerNormalizationOp
    : ONNX_MicrosoftOp<"EmbedLayerNormalization", "..TTTTT..:TiT"> {
  let summary = "layer normalization of the sum of embeddings";
  let description = [{
    Rows of `word_embedding` by `input_ids`, plus rows of `position_embedding` by
    `position_ids` (absent: 0, 1, ...), plus rows of `segment_embedding` by
    `segment_ids`; that sum is the last result, its `onnx.LayerNormalization` the
    first. The second counts the ones of each row of `mask`.

    ```mlir
    %y, %n, %s = onnx.microsoft.EmbedLayerNormalization(%ids, %none, %words, %positions, %none, %g, %b, %none, %none)
      : (tensor<1x7xi32>, none, tensor<99x64xf32>, tensor<16x64xf32>, none, tensor<64xf32>, tensor<64xf32>, none, none)
      -> (tensor<1x7x64xf32>, none, none)
    ```
  }];
  let arguments = (ins ONNX_Index:$input_ids, ONNX_Opt<ONNX_Index>:$segment_ids,
                       ONNX_Float:$word_embedding,
                       ONNX_Float:$position_embedding,
                       ONNX_Opt<ONNX_Float>:$segment_embedding,
                       ONNX_Float:$gamma, ONNX_Float:$beta,
                       ONNX_Opt<ONNX_Index>:$mask,
                       ONNX_Opt<ONNX_Index>:$position_ids,
                       ONNX_Real<"1e-12f">:$epsilon,
                       ONNX_Int<0>:$mask_index_type);
  let results = (outs ONNX_Float:$output, ONNX_Opt<ONNX_I32>:$mask_index,
                      ONNX_Opt<ONNX_Float>:$embedding_sum);
  let hasVerifier = 1;
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXTRANSFORMEROPS_TD
