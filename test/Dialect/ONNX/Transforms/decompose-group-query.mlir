// GroupQueryAttention is a rotation, a write in the cache and Attention.
// RUN: nibble-opt %s -onnx-decompose-microsoft -onnx-infer-shapes | FileCheck %s

// CHECK-LABEL: func.func @step
// CHECK-SAME: -> (tensor<?x?x64xf32>, tensor<?x2x?x16xf32>)
func.func @step(%qkv: tensor<?x?x128xf32>, %pk: tensor<?x2x?x16xf32>, %pv: tensor<?x2x?x16xf32>, %ends: tensor<?xi32>, %total: tensor<i32>, %cos: tensor<32x8xf32>, %sin: tensor<32x8xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  // CHECK: %[[QKV:.*]]:3 = onnx.Split(%arg0, {{.*}}) {axis = 2 : i64}
  // A prompt starts at 0, other steps behind what they find.
  // CHECK: %[[PROMPT:.*]] = onnx.Equal
  // CHECK: %[[LENGTHS:.*]] = onnx.Where(%[[PROMPT]],
  // CHECK: %[[START:.*]] = onnx.Sub(%[[LENGTHS]],
  // CHECK: %[[POSITIONS:.*]] = onnx.Add({{.*}}) : (tensor<?x1xi64>, tensor<1x?xi64>)
  // CHECK: %[[Q:.*]] = onnx.RotaryEmbedding(%[[QKV]]#0, %arg5, %arg6, %[[POSITIONS]]) {num_heads = 4 : i64, rotary_embedding_dim = 16 : i64}
  // CHECK: %[[K:.*]] = onnx.RotaryEmbedding(%[[QKV]]#1, {{.*}}num_heads = 2 : i64
  // CHECK: %[[Q4:.*]] = onnx.Transpose
  // CHECK: %[[LONGER:.*]] = onnx.Concat(%arg1, %{{.*}}) {axis = 2 : i64}
  // CHECK: %[[PK:.*]] = onnx.TensorScatter(%[[LONGER]], %{{.*}}, %[[START]]) {axis = 2 : i64}
  // CHECK: %[[PV:.*]] = onnx.TensorScatter
  // CHECK: onnx.Attention(%[[Q4]], %[[PK]], %[[PV]], %{{.*}}, %{{.*}}, %{{.*}}, %[[LENGTHS]]) {is_causal = 1 : i64, left_window_size = 3 : i64, onnx.name = "attn", scale = 5.000000e-01 : f32}
  // CHECK: return %{{.*}}, %[[PK]]
  %none = onnx.NoValue : none
  %y, %k, %v, %s = onnx.microsoft.GroupQueryAttention(%qkv, %none, %none, %pk, %pv, %ends, %total, %cos, %sin, %none, %none, %none, %none, %none, %none, %none) {do_rotary = 1 : i64, kv_num_heads = 2 : i64, local_window_size = 4 : i64, num_heads = 4 : i64, onnx.name = "attn", scale = 0.5 : f32} : (tensor<?x?x128xf32>, none, none, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>, tensor<?xi32>, tensor<i32>, tensor<32x8xf32>, tensor<32x8xf32>, none, none, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, none)
  return %y, %k : tensor<*xf32>, tensor<*xf32>
}

// Without a past nothing is written; each head is normalized first.
// CHECK-LABEL: func.func @prompt
func.func @prompt(%q: tensor<1x6x64xf32>, %k: tensor<1x6x32xf32>, %v: tensor<1x6x32xf32>, %ends: tensor<1xi32>, %total: tensor<i32>, %w: tensor<16xf32>) -> tensor<1x6x64xf32> {
  // CHECK: onnx.RMSNormalization({{.*}}, %arg5) {{.*}} : (tensor<1x6x4x16xf32>
  // CHECK: onnx.RMSNormalization({{.*}}, %arg5) {{.*}} : (tensor<1x6x2x16xf32>
  // CHECK-NOT: onnx.TensorScatter
  // CHECK: onnx.Attention({{.*}}, %arg2, {{.*}}) {is_causal = 1 : i64, kv_num_heads = 2 : i64, q_num_heads = 4 : i64}
  %none = onnx.NoValue : none
  %y, %pk, %pv, %s = onnx.microsoft.GroupQueryAttention(%q, %k, %v, %none, %none, %ends, %total, %none, %none, %none, %none, %none, %none, %none, %w, %w) {kv_num_heads = 2 : i64, num_heads = 4 : i64} : (tensor<1x6x64xf32>, tensor<1x6x32xf32>, tensor<1x6x32xf32>, none, none, tensor<1xi32>, tensor<i32>, none, none, none, none, none, none, none, tensor<16xf32>, tensor<16xf32>) -> (tensor<1x6x64xf32>, none, none, none)
  return %y : tensor<1x6x64xf32>
}

// A sink takes its part of the weights: the result gets smaller.
// CHECK-LABEL: func.func @sink
func.func @sink(%q: tensor<1x6x64xf32>, %k: tensor<1x6x32xf32>, %v: tensor<1x6x32xf32>, %ends: tensor<1xi32>, %total: tensor<i32>, %sink: tensor<4xf32>) -> tensor<1x6x64xf32> {
  // CHECK: %[[Y:.*]], %{{.*}}, %{{.*}}, %[[S:.*]] = onnx.Attention({{.*}}) {is_causal = 1 : i64, qk_matmul_output_mode = 2 : i64}
  // CHECK: %[[SUM:.*]] = onnx.ReduceLogSumExp(%[[S]]
  // CHECK: %[[LESS:.*]] = onnx.Sub(%[[SUM]],
  // CHECK: %[[PART:.*]] = onnx.Sigmoid(%[[LESS]])
  // CHECK: onnx.Mul(%[[Y]], %[[PART]])
  %none = onnx.NoValue : none
  %y, %pk, %pv, %s = onnx.microsoft.GroupQueryAttention(%q, %k, %v, %none, %none, %ends, %total, %none, %none, %none, %none, %sink, %none, %none, %none, %none) {kv_num_heads = 2 : i64, num_heads = 4 : i64} : (tensor<1x6x64xf32>, tensor<1x6x32xf32>, tensor<1x6x32xf32>, none, none, tensor<1xi32>, tensor<i32>, none, none, none, none, tensor<4xf32>, none, none, none, none) -> (tensor<1x6x64xf32>, none, none, none)
  return %y : tensor<1x6x64xf32>
}

// What the model leaves open about its input, the operator knows.
// CHECK-LABEL: func.func @open
// CHECK-SAME: %arg3: tensor<?x2x?x16xf32> {onnx.dim_names = ["batch", "", "past", ""]}
func.func @open(%q: tensor<?x1x64xf32>, %k: tensor<?x1x32xf32>, %v: tensor<?x1x32xf32>, %pk: tensor<?x2x?x?xf32> {onnx.dim_names = ["batch", "", "past", "size"]}, %pv: tensor<?x?x?x?xf32>, %ends: tensor<?xi32>, %total: tensor<i32>) -> tensor<*xf32> {
  // CHECK: onnx.Concat(%arg4, %{{.*}}) {axis = 2 : i64} : (tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32>)
  %none = onnx.NoValue : none
  %y, %k1, %v1, %s = onnx.microsoft.GroupQueryAttention(%q, %k, %v, %pk, %pv, %ends, %total, %none, %none, %none, %none, %none, %none, %none, %none, %none) {kv_num_heads = 2 : i64, num_heads = 4 : i64} : (tensor<?x1x64xf32>, tensor<?x1x32xf32>, tensor<?x1x32xf32>, tensor<?x2x?x?xf32>, tensor<?x?x?x?xf32>, tensor<?xi32>, tensor<i32>, none, none, none, none, none, none, none, none, none) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, none)
  return %y : tensor<*xf32>
}

// A windowed cache: the new rows behind it, then the last ones go to the front.
// CHECK-LABEL: func.func @windowed
func.func @windowed(%qkv: tensor<2x?x128xf32>, %pk: tensor<2x2x8x16xf32>, %pv: tensor<2x2x8x16xf32>, %ends: tensor<2xi32>, %total: tensor<i32>) -> (tensor<2x?x64xf32>, tensor<2x2x8x16xf32>) {
  // CHECK: %[[NONE:.*]] = onnx.Constant {value = dense<-1> : tensor<i64>}
  // CHECK: %[[ROW:.*]] = onnx.Where({{.*}}, %[[NONE]])
  // CHECK: %[[ROOM:.*]] = onnx.Concat(%arg1, %{{.*}}) {axis = 2 : i64}
  // CHECK: %[[K:.*]] = onnx.TensorScatter(%[[ROOM]], %{{.*}}, %[[ROW]]) {axis = 2 : i64}
  // CHECK: onnx.Attention(%{{.*}}, %[[K]], {{.*}}) {is_causal = 1 : i64, left_window_size = 5 : i64}
  // CHECK: %[[TURNED:.*]] = onnx.TensorScatter(%[[K]], %[[K]], %{{.*}}) {axis = 2 : i64, mode = "circular"}
  // CHECK: onnx.Slice(%[[TURNED]]
  %none = onnx.NoValue : none
  %y, %k, %v, %s = onnx.microsoft.GroupQueryAttention(%qkv, %none, %none, %pk, %pv, %ends, %total, %none, %none, %none, %none, %none, %none, %none, %none, %none) {kv_num_heads = 2 : i64, local_window_size = 6 : i64, num_heads = 4 : i64, sliding_window_cache = 1 : i64} : (tensor<2x?x128xf32>, none, none, tensor<2x2x8x16xf32>, tensor<2x2x8x16xf32>, tensor<2xi32>, tensor<i32>, none, none, none, none, none, none, none, none, none) -> (tensor<2x?x64xf32>, tensor<2x2x8x16xf32>, tensor<2x2x8x16xf32>, none)
  return %y, %k : tensor<2x?x64xf32>, tensor<2x2x8x16xf32>
}
