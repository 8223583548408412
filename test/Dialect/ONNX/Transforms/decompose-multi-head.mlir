// MultiHeadAttention and Attention are projections, a mask and Attention.
// RUN: nibble-opt %s -onnx-decompose-microsoft -onnx-infer-shapes | FileCheck %s

// CHECK-LABEL: func.func @multi_head
func.func @multi_head(%q: tensor<2x?x32xf32>, %k: tensor<2x?x32xf32>, %v: tensor<2x?x48xf32>, %b: tensor<112xf32>, %m: tensor<2x?xi32>) -> tensor<2x?x48xf32> {
  // CHECK: %[[M:.*]] = onnx.Greater(%arg4,
  // CHECK: %[[KEEP:.*]] = onnx.Unsqueeze(%[[M]], {{.*}}) : (tensor<2x?xi1>, tensor<2xi64>) -> tensor<2x1x1x?xi1>
  // CHECK: %[[MASK:.*]] = onnx.Where(%[[KEEP]],
  // CHECK: onnx.Attention({{.*}}, %[[MASK]], {{.*}}) {kv_num_heads = 4 : i64, q_num_heads = 4 : i64}
  %none = onnx.NoValue : none
  %y, %pk, %pv, %s = onnx.microsoft.MultiHeadAttention(%q, %k, %v, %b, %m, %none, %none, %none, %none, %none) {num_heads = 4 : i64} : (tensor<2x?x32xf32>, tensor<2x?x32xf32>, tensor<2x?x48xf32>, tensor<112xf32>, tensor<2x?xi32>, none, none, none, none, none) -> (tensor<2x?x48xf32>, none, none, none)
  return %y : tensor<2x?x48xf32>
}

// CHECK-LABEL: func.func @packed
func.func @packed(%qkv: tensor<2x?x4x3x8xf32>) -> tensor<2x?x32xf32> {
  // CHECK: onnx.Split(%arg0, {{.*}}) {axis = 3 : i64}
  // CHECK: onnx.Attention({{.*}}) {is_causal = 1 : i64
  // CHECK-SAME: (tensor<2x?x32xf32>, tensor<2x?x32xf32>, tensor<2x?x32xf32>
  %none = onnx.NoValue : none
  %y, %pk, %pv, %s = onnx.microsoft.MultiHeadAttention(%qkv, %none, %none, %none, %none, %none, %none, %none, %none, %none) {num_heads = 4 : i64, unidirectional = 1 : i64} : (tensor<2x?x4x3x8xf32>, none, none, none, none, none, none, none, none, none) -> (tensor<2x?x32xf32>, none, none, none)
  return %y : tensor<2x?x32xf32>
}

// The product keeps the layer's name; a mask for the longest text is cut.
// CHECK-LABEL: func.func @attention
func.func @attention(%x: tensor<2x?x24xf32>, %w: tensor<24x96xf32>, %b: tensor<96xf32>, %m: tensor<2x1x64x64xi32>, %past: tensor<2x2x4x?x8xf32>) -> (tensor<2x?x32xf32>, tensor<2x2x4x?x8xf32>) {
  // CHECK: %[[P:.*]] = onnx.MatMul(%arg0, %arg1) {onnx.name = "attn"}
  // CHECK: onnx.Add(%[[P]], %arg2)
  // CHECK: %[[PAST:.*]]:2 = onnx.Split(%arg4,
  // CHECK: %[[CUT:.*]] = onnx.Slice(%arg3,
  // CHECK: onnx.Greater(%[[CUT]],
  // CHECK: %{{.*}}, %[[K:.*]], %[[V:.*]], %{{.*}} = onnx.Attention
  // CHECK: %[[K1:.*]] = onnx.Unsqueeze(%[[K]],
  // CHECK: %[[V1:.*]] = onnx.Unsqueeze(%[[V]],
  // CHECK: onnx.Concat(%[[K1]], %[[V1]])
  %none = onnx.NoValue : none
  %y, %p = onnx.microsoft.Attention(%x, %w, %b, %m, %past, %none, %none) {num_heads = 4 : i64, onnx.name = "attn"} : (tensor<2x?x24xf32>, tensor<24x96xf32>, tensor<96xf32>, tensor<2x1x64x64xi32>, tensor<2x2x4x?x8xf32>, none, none) -> (tensor<2x?x32xf32>, tensor<2x2x4x?x8xf32>)
  return %y, %p : tensor<2x?x32xf32>, tensor<2x2x4x?x8xf32>
}
