// RUN: nibble-opt %s -onnx-normalize-opset | FileCheck %s

// Scatter was renamed; short forms of constants become a value.

module attributes {onnx.opset_version = 10 : i64} {
// CHECK-LABEL: func @scatter
// CHECK: onnx.ScatterElements(%{{.*}}, %{{.*}}, %{{.*}}) {axis = 1 : i64, onnx.name = "s"}
func.func @scatter(%x: tensor<3x3xf32>, %i: tensor<2x3xi64>, %u: tensor<2x3xf32>) -> tensor<3x3xf32> {
  %y = onnx.Scatter(%x, %i, %u) {axis = 1 : i64, onnx.name = "s"} : (tensor<3x3xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<3x3xf32>
  return %y : tensor<3x3xf32>
}

// CHECK-LABEL: func @constant
// CHECK-NEXT: onnx.Constant {onnx.name = "c", value = dense<[1, 2]> : tensor<2xi64>} : tensor<2xi64>
func.func @constant() -> tensor<2xi64> {
  %c = onnx.Constant {value_ints = array<i64: 1, 2>, onnx.name = "c"} : tensor<2xi64>
  return %c : tensor<2xi64>
}
}
