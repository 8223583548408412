// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @abs(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @abs(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Abs(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @neg(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @neg(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Neg(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @sign(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @sign(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Sign(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @ceil(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @ceil(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Ceil(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @floor(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @floor(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Floor(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @round(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @round(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Round(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @is_na_n(
// CHECK-SAME: -> tensor<2x3xi1> {
func.func @is_na_n(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.IsNaN(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @is_inf(
// CHECK-SAME: -> tensor<2x3xi1> {
func.func @is_inf(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.IsInf(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
