// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @attention
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {is_causal = 1 : i64} : (tensor<1x8x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, none, none, none, none) -> (tensor<1x8x7x16xf32>, none, none, none)
func.func @attention(%q: tensor<1x8x7x16xf32>, %k: tensor<1x4x7x16xf32>, %v: tensor<1x4x7x16xf32>) -> tensor<1x8x7x16xf32> {
  %none = onnx.NoValue : none
  %y, %pk, %pv, %s = onnx.Attention(%q, %k, %v, %none, %none, %none, %none) {is_causal = 1 : i64} : (tensor<1x8x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, none, none, none, none) -> (tensor<1x8x7x16xf32>, none, none, none)
  return %y : tensor<1x8x7x16xf32>
}

// CHECK-LABEL: func @rotary_embedding
// CHECK: onnx.RotaryEmbedding(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<1x8x7x16xf32>, tensor<1x7x8xf32>, tensor<1x7x8xf32>, none) -> tensor<1x8x7x16xf32>
func.func @rotary_embedding(%x: tensor<1x8x7x16xf32>, %cos: tensor<1x7x8xf32>, %sin: tensor<1x7x8xf32>) -> tensor<1x8x7x16xf32> {
  %none = onnx.NoValue : none
  %y = onnx.RotaryEmbedding(%x, %cos, %sin, %none) : (tensor<1x8x7x16xf32>, tensor<1x7x8xf32>, tensor<1x7x8xf32>, none) -> tensor<1x8x7x16xf32>
  return %y : tensor<1x8x7x16xf32>
}
