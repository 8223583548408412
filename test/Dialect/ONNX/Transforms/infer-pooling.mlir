// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @max_pool(
// CHECK-SAME: -> tensor<1x8x2x2xf32> {
func.func @max_pool(%x: tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown> {
  %y, %i = onnx.MaxPool(%x) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> (tensor<*x!onnx.unknown>, none)
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @average_pool(
// CHECK-SAME: -> tensor<1x8x3x3xf32> {
func.func @average_pool(%x: tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.AveragePool(%x) {kernel_shape = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @lp_pool(
// CHECK-SAME: -> tensor<1x8x3x3xf32> {
func.func @lp_pool(%x: tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.LpPool(%x) {kernel_shape = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @global_average_pool(
// CHECK-SAME: -> tensor<1x8x1x1xf32> {
func.func @global_average_pool(%x: tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.GlobalAveragePool(%x) : (tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @global_max_pool(
// CHECK-SAME: -> tensor<1x8x1x1xf32> {
func.func @global_max_pool(%x: tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.GlobalMaxPool(%x) : (tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @global_lp_pool(
// CHECK-SAME: -> tensor<1x8x1x1xf32> {
func.func @global_lp_pool(%x: tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.GlobalLpPool(%x) : (tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
