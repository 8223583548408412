// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @softmax(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @softmax(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Softmax(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @log_softmax(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @log_softmax(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.LogSoftmax(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @hardmax(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @hardmax(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Hardmax(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @lp_normalization(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @lp_normalization(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.LpNormalization(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @mean_variance_normalization(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @mean_variance_normalization(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.MeanVarianceNormalization(%x) {axes = array<i64: 1>} : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
