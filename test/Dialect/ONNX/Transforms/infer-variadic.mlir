// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @max(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @max(%a: tensor<2x3xf32>, %b: tensor<3xf32>, %c: tensor<f32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Max(%a, %b, %c) : (tensor<2x3xf32>, tensor<3xf32>, tensor<f32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @min(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @min(%a: tensor<2x3xf32>, %b: tensor<3xf32>, %c: tensor<f32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Min(%a, %b, %c) : (tensor<2x3xf32>, tensor<3xf32>, tensor<f32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @sum(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @sum(%a: tensor<2x3xf32>, %b: tensor<3xf32>, %c: tensor<f32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Sum(%a, %b, %c) : (tensor<2x3xf32>, tensor<3xf32>, tensor<f32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @mean(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @mean(%a: tensor<2x3xf32>, %b: tensor<3xf32>, %c: tensor<f32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Mean(%a, %b, %c) : (tensor<2x3xf32>, tensor<3xf32>, tensor<f32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
