// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @add(
// CHECK-SAME: -> tensor<4x3xf32> {
func.func @add(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Add(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @sub(
// CHECK-SAME: -> tensor<4x3xf32> {
func.func @sub(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Sub(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @mul(
// CHECK-SAME: -> tensor<4x3xf32> {
func.func @mul(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Mul(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @div(
// CHECK-SAME: -> tensor<4x3xf32> {
func.func @div(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Div(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @pow(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @pow(%x: tensor<2x3xf32>, %y: tensor<i64>) -> tensor<*x!onnx.unknown> {
  %z = onnx.Pow(%x, %y) : (tensor<2x3xf32>, tensor<i64>) -> tensor<*x!onnx.unknown>
  return %z : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @mod(
// CHECK-SAME: -> tensor<4xf32> {
func.func @mod(%a: tensor<4xf32>, %b: tensor<f32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Mod(%a, %b) {fmod = 1 : i64} : (tensor<4xf32>, tensor<f32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}
