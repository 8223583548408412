// What ONNX Runtime has and Nibble does not is refused.
// RUN: nibble-opt %s -split-input-file -verify-diagnostics -onnx-decompose-microsoft

func.func @quantized_cache(%q: tensor<1x1x64xf32>, %p: tensor<1x1x9x32xi8>, %e: tensor<1xi32>, %t: tensor<i32>, %s: tensor<1xf32>) -> tensor<1x1x64xf32> {
  %none = onnx.NoValue : none
  %k = onnx.Constant {value = dense<0.0> : tensor<1x1x32xf32>} : tensor<1x1x32xf32>
  // expected-error@+1 {{k_quant_type is 'PER_TENSOR', expected NONE: quantized caches are not supported}}
  %y, %pk, %pv, %u = onnx.microsoft.GroupQueryAttention(%q, %k, %k, %p, %p, %e, %t, %none, %none, %none, %none, %none, %s, %s, %none, %none) {k_quant_type = "PER_TENSOR", kv_num_heads = 1 : i64, num_heads = 2 : i64, v_quant_type = "PER_TENSOR"} : (tensor<1x1x64xf32>, tensor<1x1x32xf32>, tensor<1x1x32xf32>, tensor<1x1x9x32xi8>, tensor<1x1x9x32xi8>, tensor<1xi32>, tensor<i32>, none, none, none, none, none, tensor<1xf32>, tensor<1xf32>, none, none) -> (tensor<1x1x64xf32>, none, none, none)
  return %y : tensor<1x1x64xf32>
}

// -----

func.func @width(%q: tensor<1x1x?xf32>, %e: tensor<1xi32>, %t: tensor<i32>) -> tensor<1x1x?xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{query has type 'tensor<1x1x?xf32>', expected a last dimension that is known and a multiple of 4 heads}}
  %y, %pk, %pv, %u = onnx.microsoft.GroupQueryAttention(%q, %none, %none, %none, %none, %e, %t, %none, %none, %none, %none, %none, %none, %none, %none, %none) {kv_num_heads = 1 : i64, num_heads = 2 : i64} : (tensor<1x1x?xf32>, none, none, none, none, tensor<1xi32>, tensor<i32>, none, none, none, none, none, none, none, none, none) -> (tensor<1x1x?xf32>, none, none, none)
  return %y : tensor<1x1x?xf32>
}

// -----

func.func @beams(%q: tensor<1x6x64xf32>, %n: tensor<1xi32>) -> tensor<1x6x64xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{has past_sequence_length or cache_indirection, expected none}}
  %y, %pk, %pv, %s = onnx.microsoft.MultiHeadAttention(%q, %q, %q, %none, %none, %none, %none, %none, %n, %none) {num_heads = 4 : i64} : (tensor<1x6x64xf32>, tensor<1x6x64xf32>, tensor<1x6x64xf32>, none, none, none, none, none, tensor<1xi32>, none) -> (tensor<1x6x64xf32>, none, none, none)
  return %y : tensor<1x6x64xf32>
}

// -----

func.func @rotary(%x: tensor<1x6x64xf32>, %w: tensor<64x96xf32>) -> tensor<1x6x32xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{do_rotary is 1, expected 0: export the model with RotaryEmbedding or GroupQueryAttention}}
  %y, %p = onnx.microsoft.Attention(%x, %w, %none, %none, %none, %none, %none) {do_rotary = 1 : i64, num_heads = 4 : i64} : (tensor<1x6x64xf32>, tensor<64x96xf32>, none, none, none, none, none) -> (tensor<1x6x32xf32>, none)
  return %y : tensor<1x6x32xf32>
}

// -----

func.func @scale(%x: tensor<1x6x64xf32>, %p: tensor<1x6xi64>, %c: tensor<9x4xf32>) -> tensor<1x6x64xf32> {
  // expected-error@+1 {{scale is 2.000000e+00, expected 1: scale the caches}}
  %y = onnx.microsoft.RotaryEmbedding(%x, %p, %c, %c) {scale = 2.0 : f32} : (tensor<1x6x64xf32>, tensor<1x6xi64>, tensor<9x4xf32>, tensor<9x4xf32>) -> tensor<1x6x64xf32>
  return %y : tensor<1x6x64xf32>
}
