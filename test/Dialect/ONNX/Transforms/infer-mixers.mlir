// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @causal_conv(
// CHECK-SAME: -> (tensor<2x4x8xf32>, tensor<2x4x2xf32>) {
func.func @causal_conv(%x: tensor<2x4x8xf32>, %w: tensor<4x1x3xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %none = onnx.NoValue : none
  %y0, %y1 = onnx.CausalConvWithState(%x, %w, %none, %none) {activation = "silu"} : (tensor<2x4x8xf32>, tensor<4x1x3xf32>, none, none) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y0, %y1 : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @linear_attention(
// CHECK-SAME: -> (tensor<1x3x12xf32>, tensor<1x1x4x6xf32>) {
func.func @linear_attention(%q: tensor<1x3x8xf32>, %k: tensor<1x3x4xf32>, %v: tensor<1x3x6xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %none = onnx.NoValue : none
  %y0, %y1 = onnx.LinearAttention(%q, %k, %v, %none, %none, %none) {kv_num_heads = 1 : i64, q_num_heads = 2 : i64, update_rule = "linear"} : (tensor<1x3x8xf32>, tensor<1x3x4xf32>, tensor<1x3x6xf32>, none, none, none) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y0, %y1 : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @swiglu(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @swiglu(%a: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y0 = onnx.SwiGLU(%a, %a) {alpha = 2.000000e+00 : f32} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @cum_prod(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @cum_prod(%x: tensor<2x3xf32>, %a: tensor<i32>) -> tensor<*x!onnx.unknown> {
  %y0 = onnx.CumProd(%x, %a) {exclusive = 1 : i64} : (tensor<2x3xf32>, tensor<i32>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @det(
// CHECK-SAME: -> tensor<5xf32> {
func.func @det(%x: tensor<5x3x3xf32>) -> tensor<*x!onnx.unknown> {
  %y0 = onnx.Det(%x) : (tensor<5x3x3xf32>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}
