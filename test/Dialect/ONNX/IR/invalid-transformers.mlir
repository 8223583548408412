// RUN: nibble-opt %s -split-input-file -verify-diagnostics

func.func @heads(%q: tensor<1x6x64xf32>, %e: tensor<1xi32>, %t: tensor<i32>) -> tensor<1x6x64xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{num_heads is 4, expected a multiple of kv_num_heads, 3}}
  %y, %pk, %pv, %s = onnx.microsoft.GroupQueryAttention(%q, %none, %none, %none, %none, %e, %t, %none, %none, %none, %none, %none, %none, %none, %none, %none) {kv_num_heads = 3 : i64, num_heads = 4 : i64} : (tensor<1x6x64xf32>, none, none, none, none, tensor<1xi32>, tensor<i32>, none, none, none, none, none, none, none, none, none) -> (tensor<1x6x64xf32>, none, none, none)
  return %y : tensor<1x6x64xf32>
}

// -----

func.func @caches(%q: tensor<1x6x64xf32>, %e: tensor<1xi32>, %t: tensor<i32>) -> tensor<1x6x32xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{do_rotary is 1, which needs cos_cache and sin_cache}}
  %y, %pk, %pv, %s = onnx.microsoft.GroupQueryAttention(%q, %none, %none, %none, %none, %e, %t, %none, %none, %none, %none, %none, %none, %none, %none, %none) {do_rotary = 1 : i64, kv_num_heads = 1 : i64, num_heads = 2 : i64} : (tensor<1x6x64xf32>, none, none, none, none, tensor<1xi32>, tensor<i32>, none, none, none, none, none, none, none, none, none) -> (tensor<1x6x32xf32>, none, none, none)
  return %y : tensor<1x6x32xf32>
}

// -----

func.func @value(%q: tensor<1x6x64xf32>) -> tensor<1x6x64xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{has no value, expected one with a key of rank 3}}
  %y, %pk, %pv, %s = onnx.microsoft.MultiHeadAttention(%q, %q, %none, %none, %none, %none, %none, %none, %none, %none) {num_heads = 4 : i64} : (tensor<1x6x64xf32>, tensor<1x6x64xf32>, none, none, none, none, none, none, none, none) -> (tensor<1x6x64xf32>, none, none, none)
  return %y : tensor<1x6x64xf32>
}

// -----

func.func @sizes(%x: tensor<1x6x64xf32>, %w: tensor<64x96xf32>) -> tensor<1x6x32xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{qkv_hidden_sizes is [32, 32, 30], expected multiples of num_heads, 4}}
  %y, %p = onnx.microsoft.Attention(%x, %w, %none, %none, %none, %none, %none) {num_heads = 4 : i64, qkv_hidden_sizes = array<i64: 32, 32, 30>} : (tensor<1x6x64xf32>, tensor<64x96xf32>, none, none, none, none, none) -> (tensor<1x6x32xf32>, none)
  return %y : tensor<1x6x32xf32>
}

// -----

func.func @rotary(%x: tensor<1x6x64xf32>, %p: tensor<1x6xi64>, %c: tensor<9x4xf32>) -> tensor<1x6x64xf32> {
  // expected-error@+1 {{rotary_embedding_dim is 8, which needs num_heads for an input of rank 3}}
  %y = onnx.microsoft.RotaryEmbedding(%x, %p, %c, %c) {rotary_embedding_dim = 8 : i64} : (tensor<1x6x64xf32>, tensor<1x6xi64>, tensor<9x4xf32>, tensor<9x4xf32>) -> tensor<1x6x64xf32>
  return %y : tensor<1x6x64xf32>
}

// -----

func.func @embed(%i: tensor<1x6xi32>, %t: tensor<9x4xf32>, %g: tensor<4xf32>) -> tensor<1x6x4xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{has one of segment_ids and segment_embedding, expected both or none}}
  %y, %n, %s = onnx.microsoft.EmbedLayerNormalization(%i, %i, %t, %t, %none, %g, %g, %none, %none) : (tensor<1x6xi32>, tensor<1x6xi32>, tensor<9x4xf32>, tensor<9x4xf32>, none, tensor<4xf32>, tensor<4xf32>, none, none) -> (tensor<1x6x4xf32>, none, none)
  return %y : tensor<1x6x4xf32>
}
