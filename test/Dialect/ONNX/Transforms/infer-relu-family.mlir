// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @relu(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @relu(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Relu(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @leaky_relu(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @leaky_relu(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.LeakyRelu(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @prelu(
// CHECK-SAME: -> tensor<1x8x4xf32> {
func.func @prelu(%x: tensor<1x8x4xf32>, %slope: tensor<8x1xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.PRelu(%x, %slope) : (tensor<1x8x4xf32>, tensor<8x1xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @elu(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @elu(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Elu(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @selu(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @selu(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Selu(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @celu(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @celu(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Celu(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @thresholded_relu(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @thresholded_relu(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.ThresholdedRelu(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @clip(
// CHECK-SAME: -> tensor<4xf32> {
func.func @clip(%x: tensor<4xf32>, %lo: tensor<f32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y = onnx.Clip(%x, %lo, %none) : (tensor<4xf32>, tensor<f32>, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
