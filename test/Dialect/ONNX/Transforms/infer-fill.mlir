// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @constant_of_shape(
// CHECK-SAME: -> tensor<?x?xi64> {
func.func @constant_of_shape(%shape: tensor<2xi64>) -> tensor<*x!onnx.unknown> {
  %y = onnx.ConstantOfShape(%shape) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @range(
// CHECK-SAME: -> tensor<?xi64> {
func.func @range(%start: tensor<i64>, %limit: tensor<i64>, %delta: tensor<i64>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Range(%start, %limit, %delta) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @eye_like(
// CHECK-SAME: -> tensor<3x4xf32> {
func.func @eye_like(%x: tensor<3x4xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.EyeLike(%x) {k = 1 : i64} : (tensor<3x4xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @one_hot(
// CHECK-SAME: -> tensor<4x?xf32> {
func.func @one_hot(%i: tensor<4xi64>, %depth: tensor<i64>, %values: tensor<2xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.OneHot(%i, %depth, %values) : (tensor<4xi64>, tensor<i64>, tensor<2xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @trilu(
// CHECK-SAME: -> tensor<4x4xf32> {
func.func @trilu(%x: tensor<4x4xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y = onnx.Trilu(%x, %none) {upper = 0 : i64} : (tensor<4x4xf32>, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
