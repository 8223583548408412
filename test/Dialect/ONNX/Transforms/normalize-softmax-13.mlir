// RUN: nibble-opt %s -onnx-normalize-opset | FileCheck %s

// From opset 13 on Softmax is along one axis, by default the last.

module attributes {onnx.opset_version = 13 : i64} {
// CHECK-LABEL: func @softmax
// CHECK-NEXT: onnx.Softmax(%{{.*}}) : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT: onnx.Hardmax(%{{.*}}) {axis = 1 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
func.func @softmax(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %0 = onnx.Softmax(%x) : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  %1 = onnx.Hardmax(%0) {axis = 1 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %1 : tensor<2x3x4xf32>
}
}
