// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @identity(
// CHECK-SAME: -> tensor<2xf32> {
func.func @identity(%x: tensor<2xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Identity(%x) : (tensor<2xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @cast(
// CHECK-SAME: -> tensor<2xf32> {
func.func @cast(%x: tensor<2xi64>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Cast(%x) {to = 1 : i64} : (tensor<2xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @cast_like(
// CHECK-SAME: -> tensor<2xf32> {
func.func @cast_like(%x: tensor<2xi64>, %t: tensor<f32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.CastLike(%x, %t) : (tensor<2xi64>, tensor<f32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @shape(
// CHECK-SAME: -> tensor<1xi64> {
func.func @shape(%x: tensor<?x3xf32>) -> tensor<*x!onnx.unknown> {
  %s = onnx.Shape(%x) {end = 1 : i64} : (tensor<?x3xf32>) -> tensor<*x!onnx.unknown>
  return %s : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @size(
// CHECK-SAME: -> tensor<i64> {
func.func @size(%x: tensor<?x3xf32>) -> tensor<*x!onnx.unknown> {
  %n = onnx.Size(%x) : (tensor<?x3xf32>) -> tensor<*x!onnx.unknown>
  return %n : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @non_zero(
// CHECK-SAME: -> tensor<2x?xi64> {
func.func @non_zero(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %i = onnx.NonZero(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %i : tensor<*x!onnx.unknown>
}
