// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @cosh(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @cosh(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Cosh(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @sinh(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @sinh(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Sinh(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @tanh(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @tanh(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Tanh(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @exp(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @exp(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Exp(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @log(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @log(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Log(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @sqrt(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @sqrt(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Sqrt(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reciprocal(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @reciprocal(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Reciprocal(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @erf(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @erf(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Erf(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
