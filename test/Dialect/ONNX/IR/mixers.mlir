// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @causal_conv(
// CHECK: onnx.CausalConvWithState(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {activation = "silu"} : (tensor<2x4x8xf32>, tensor<4x1x3xf32>, none, none) -> (tensor<2x4x8xf32>, tensor<2x4x2xf32>)
func.func @causal_conv(%x: tensor<2x4x8xf32>, %w: tensor<4x1x3xf32>) -> (tensor<2x4x8xf32>, tensor<2x4x2xf32>) {
  %none = onnx.NoValue : none
  %y0, %y1 = onnx.CausalConvWithState(%x, %w, %none, %none) {activation = "silu"} : (tensor<2x4x8xf32>, tensor<4x1x3xf32>, none, none) -> (tensor<2x4x8xf32>, tensor<2x4x2xf32>)
  return %y0, %y1 : tensor<2x4x8xf32>, tensor<2x4x2xf32>
}

// CHECK-LABEL: func @linear_attention(
// CHECK: onnx.LinearAttention(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {kv_num_heads = 1 : i64, q_num_heads = 2 : i64, update_rule = "linear"} : (tensor<1x3x8xf32>, tensor<1x3x4xf32>, tensor<1x3x6xf32>, none, none, none) -> (tensor<1x3x12xf32>, tensor<1x1x4x6xf32>)
func.func @linear_attention(%q: tensor<1x3x8xf32>, %k: tensor<1x3x4xf32>, %v: tensor<1x3x6xf32>) -> (tensor<1x3x12xf32>, tensor<1x1x4x6xf32>) {
  %none = onnx.NoValue : none
  %y0, %y1 = onnx.LinearAttention(%q, %k, %v, %none, %none, %none) {kv_num_heads = 1 : i64, q_num_heads = 2 : i64, update_rule = "linear"} : (tensor<1x3x8xf32>, tensor<1x3x4xf32>, tensor<1x3x6xf32>, none, none, none) -> (tensor<1x3x12xf32>, tensor<1x1x4x6xf32>)
  return %y0, %y1 : tensor<1x3x12xf32>, tensor<1x1x4x6xf32>
}

// CHECK-LABEL: func @swiglu(
// CHECK: onnx.SwiGLU(%{{.*}}, %{{.*}}) {alpha = 2.000000e+00 : f32} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @swiglu(%a: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y0 = onnx.SwiGLU(%a, %a) {alpha = 2.000000e+00 : f32} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y0 : tensor<2x3xf32>
}

// CHECK-LABEL: func @cum_prod(
// CHECK: onnx.CumProd(%{{.*}}, %{{.*}}) {exclusive = 1 : i64} : (tensor<2x3xf32>, tensor<i32>) -> tensor<2x3xf32>
func.func @cum_prod(%x: tensor<2x3xf32>, %a: tensor<i32>) -> tensor<2x3xf32> {
  %y0 = onnx.CumProd(%x, %a) {exclusive = 1 : i64} : (tensor<2x3xf32>, tensor<i32>) -> tensor<2x3xf32>
  return %y0 : tensor<2x3xf32>
}

// CHECK-LABEL: func @det(
// CHECK: onnx.Det(%{{.*}}) : (tensor<5x3x3xf32>) -> tensor<5xf32>
func.func @det(%x: tensor<5x3x3xf32>) -> tensor<5xf32> {
  %y0 = onnx.Det(%x) : (tensor<5x3x3xf32>) -> tensor<5xf32>
  return %y0 : tensor<5xf32>
}
