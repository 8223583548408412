// RUN: nibble-opt %s -canonicalize | FileCheck %s

// Operators that do nothing disappear, and pairs become one.

// CHECK-LABEL: func @nothing(
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf32>
// CHECK-NEXT: return %[[X]]
func.func @nothing(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %none = onnx.NoValue : none
  %zeros = onnx.Constant {value = dense<0> : tensor<4xi64>} : tensor<4xi64>
  %shape = onnx.Constant {value = dense<[2, 3]> : tensor<2xi64>} : tensor<2xi64>
  %one = onnx.Constant {value = dense<1.0> : tensor<f32>} : tensor<f32>
  %0 = onnx.Identity(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1, %mask = onnx.Dropout(%0, %none, %none) : (tensor<2x3xf32>, none, none) -> (tensor<2x3xf32>, none)
  %2 = onnx.Pad(%1, %zeros, %none, %none) : (tensor<2x3xf32>, tensor<4xi64>, none, none) -> tensor<2x3xf32>
  %3 = onnx.Concat(%2) {axis = 0 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %4 = onnx.Expand(%3, %shape) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<2x3xf32>
  %5 = onnx.Reshape(%4, %shape) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<2x3xf32>
  %6 = onnx.Mul(%5, %one) : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  %7 = onnx.Cast(%6) {to = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %7 : tensor<2x3xf32>
}

// CHECK-LABEL: func @transposes(
// CHECK-SAME: %[[X:.*]]: tensor<2x3x4xf32>
// CHECK-NEXT: onnx.Transpose(%[[X]]) {perm = array<i64: 2, 1, 0>} : (tensor<2x3x4xf32>) -> tensor<4x3x2xf32>
// CHECK-NEXT: return
func.func @transposes(%x: tensor<2x3x4xf32>) -> tensor<4x3x2xf32> {
  %0 = onnx.Transpose(%x) {perm = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 1, 0, 2>} : (tensor<3x4x2xf32>) -> tensor<4x3x2xf32>
  return %1 : tensor<4x3x2xf32>
}

// CHECK-LABEL: func @reshapes(
// CHECK-SAME: %[[X:.*]]: tensor<2x3x4xf32>
// CHECK: onnx.Reshape(%[[X]], %{{.*}}) : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<4x6xf32>
func.func @reshapes(%x: tensor<2x3x4xf32>) -> tensor<4x6xf32> {
  %s = onnx.Constant {value = dense<[4, 6]> : tensor<2xi64>} : tensor<2xi64>
  %0 = onnx.Flatten(%x) : (tensor<2x3x4xf32>) -> tensor<2x12xf32>
  %1 = onnx.Reshape(%0, %s) : (tensor<2x12xf32>, tensor<2xi64>) -> tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}
