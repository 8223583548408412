// RUN: nibble-opt %s -onnx-normalize-opset -split-input-file -verify-diagnostics | FileCheck %s

// Opset 11 has empty tensors for absent operands of Resize.

module attributes {onnx.opset_version = 11 : i64} {
// CHECK-LABEL: func @resize(
// CHECK-SAME: %[[X:[^:]*]]: tensor<1x1x2x2xf32>, %[[SIZES:[^:]*]]: tensor<4xi64>
// CHECK: onnx.Resize(%[[X]], %{{.*}}, %{{.*}}, %[[SIZES]]) : (tensor<1x1x2x2xf32>, none, none, tensor<4xi64>)
func.func @resize(%x: tensor<1x1x2x2xf32>, %sizes: tensor<4xi64>) -> tensor<1x1x4x4xf32> {
  %empty = onnx.Constant {value = dense<> : tensor<0xf32>} : tensor<0xf32>
  %y = onnx.Resize(%x, %empty, %empty, %sizes) : (tensor<1x1x2x2xf32>, tensor<0xf32>, tensor<0xf32>, tensor<4xi64>) -> tensor<1x1x4x4xf32>
  return %y : tensor<1x1x4x4xf32>
}
}

// -----

module attributes {onnx.opset_version = 11 : i64} {
func.func @neither(%x: tensor<1x1x2x2xf32>) -> tensor<*xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{(layer 'r') has neither scales nor sizes, expected one of them}}
  %y = onnx.Resize(%x, %none, %none, %none) {onnx.name = "r"} : (tensor<1x1x2x2xf32>, none, none, none) -> tensor<*xf32>
  return %y : tensor<*xf32>
}
}
