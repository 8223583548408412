// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @acos(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @acos(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Acos(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @asin(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @asin(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Asin(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @atan(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @atan(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Atan(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @cos(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @cos(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Cos(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @sin(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @sin(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Sin(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @tan(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @tan(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Tan(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @acosh(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @acosh(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Acosh(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @asinh(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @asinh(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Asinh(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @atanh(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @atanh(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Atanh(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
