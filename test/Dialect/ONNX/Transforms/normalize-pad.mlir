// RUN: nibble-opt %s -onnx-normalize-opset -split-input-file -verify-diagnostics | FileCheck %s

// Pad had its numbers and the value as attributes before opset 11.

module attributes {onnx.opset_version = 10 : i64} {
// CHECK-LABEL: func @pad
// CHECK-DAG: %[[PADS:.*]] = onnx.Constant {value = dense<[0, 1, 0, 1]> : tensor<4xi64>}
// CHECK-DAG: %[[VALUE:.*]] = onnx.Constant {value = dense<2.500000e+00> : tensor<f32>}
// CHECK: onnx.Pad(%{{.*}}, %[[PADS]], %[[VALUE]], %{{.*}}) : (tensor<2x3xf32>, tensor<4xi64>, tensor<f32>, none)
func.func @pad(%x: tensor<2x3xf32>) -> tensor<2x5xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Pad(%x, %none, %none, %none) {pads = array<i64: 0, 1, 0, 1>, value = 2.5 : f32} : (tensor<2x3xf32>, none, none, none) -> tensor<2x5xf32>
  return %y : tensor<2x5xf32>
}
}

// -----

module attributes {onnx.opset_version = 13 : i64} {
func.func @missing(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{(layer 'p') has no pads, expected it as operand #1}}
  %y = onnx.Pad(%x, %none, %none, %none) {onnx.name = "p"} : (tensor<2x3xf32>, none, none, none) -> tensor<*xf32>
  return %y : tensor<*xf32>
}
}
