// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @equal(
// CHECK-SAME: -> tensor<4x3xi1> {
func.func @equal(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Equal(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @less(
// CHECK-SAME: -> tensor<4x3xi1> {
func.func @less(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Less(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @greater(
// CHECK-SAME: -> tensor<4x3xi1> {
func.func @greater(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Greater(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @less_or_equal(
// CHECK-SAME: -> tensor<4x3xi1> {
func.func @less_or_equal(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.LessOrEqual(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @greater_or_equal(
// CHECK-SAME: -> tensor<4x3xi1> {
func.func @greater_or_equal(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.GreaterOrEqual(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @where(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @where(%c: tensor<2x3xi1>, %x: tensor<3xf32>, %y: tensor<f32>) -> tensor<*x!onnx.unknown> {
  %z = onnx.Where(%c, %x, %y) : (tensor<2x3xi1>, tensor<3xf32>, tensor<f32>) -> tensor<*x!onnx.unknown>
  return %z : tensor<*x!onnx.unknown>
}
