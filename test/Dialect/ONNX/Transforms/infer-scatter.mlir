// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @scatter_elements(
// CHECK-SAME: -> tensor<3x3xf32> {
func.func @scatter_elements(%x: tensor<3x3xf32>, %i: tensor<2x3xi64>, %u: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.ScatterElements(%x, %i, %u) : (tensor<3x3xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @scatter_nd(
// CHECK-SAME: -> tensor<4x4xf32> {
func.func @scatter_nd(%x: tensor<4x4xf32>, %i: tensor<2x1xi64>, %u: tensor<2x4xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.ScatterND(%x, %i, %u) : (tensor<4x4xf32>, tensor<2x1xi64>, tensor<2x4xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @tensor_scatter(
// CHECK-SAME: -> tensor<1x4x64x8xf32> {
func.func @tensor_scatter(%cache: tensor<1x4x64x8xf32>, %new: tensor<1x4x1x8xf32>, %at: tensor<1xi64>) -> tensor<*x!onnx.unknown> {
  %y = onnx.TensorScatter(%cache, %new, %at) : (tensor<1x4x64x8xf32>, tensor<1x4x1x8xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
