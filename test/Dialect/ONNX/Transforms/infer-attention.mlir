// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @attention(
// CHECK-SAME: -> tensor<1x8x7x16xf32> {
func.func @attention(%q: tensor<1x8x7x16xf32>, %k: tensor<1x4x7x16xf32>, %v: tensor<1x4x7x16xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y, %pk, %pv, %s = onnx.Attention(%q, %k, %v, %none, %none, %none, %none) {is_causal = 1 : i64} : (tensor<1x8x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, none, none, none, none) -> (tensor<*x!onnx.unknown>, none, none, none)
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @rotary_embedding(
// CHECK-SAME: -> tensor<1x8x7x16xf32> {
func.func @rotary_embedding(%x: tensor<1x8x7x16xf32>, %cos: tensor<1x7x8xf32>, %sin: tensor<1x7x8xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y = onnx.RotaryEmbedding(%x, %cos, %sin, %none) : (tensor<1x8x7x16xf32>, tensor<1x7x8xf32>, tensor<1x7x8xf32>, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
