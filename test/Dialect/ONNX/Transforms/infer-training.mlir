// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @nll(
// CHECK-SAME: -> tensor<3x6xf32> {
func.func @nll(%x: tensor<3x5x6xf32>, %t: tensor<3x6xi64>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y0 = onnx.NegativeLogLikelihoodLoss(%x, %t, %none) {reduction = "none"} : (tensor<3x5x6xf32>, tensor<3x6xi64>, none) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @sce(
// CHECK-SAME: -> (tensor<f32>, tensor<3x5xf32>) {
func.func @sce(%x: tensor<3x5xf32>, %t: tensor<3xi32>, %w: tensor<5xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %y0, %y1 = onnx.SoftmaxCrossEntropyLoss(%x, %t, %w) {ignore_index = -1 : i64} : (tensor<3x5xf32>, tensor<3xi32>, tensor<5xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y0, %y1 : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @adagrad(
// CHECK-SAME: -> (tensor<2xf32>, tensor<2xf32>) {
func.func @adagrad(%r: tensor<f32>, %t: tensor<i64>, %x: tensor<2xf32>, %g: tensor<2xf32>, %h: tensor<2xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %y0, %y1 = onnx.ai.onnx.preview.training.Adagrad(%r, %t, %x, %g, %h) {decay_factor = 1.000000e-01 : f32} : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y0, %y1 : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @adam(
// CHECK-SAME: -> (tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>) {
func.func @adam(%r: tensor<f32>, %t: tensor<i64>, %x: tensor<2xf32>, %y: tensor<3xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %y0, %y1, %y2, %y3, %y4, %y5 = onnx.ai.onnx.preview.training.Adam(%r, %t, %x, %y, %x, %y, %x, %y, %x, %y) : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y0, %y1, %y2, %y3, %y4, %y5 : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @momentum(
// CHECK-SAME: -> (tensor<2xf32>, tensor<2xf32>) {
func.func @momentum(%r: tensor<f32>, %t: tensor<i64>, %x: tensor<2xf32>, %g: tensor<2xf32>, %v: tensor<2xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %y0, %y1 = onnx.ai.onnx.preview.training.Momentum(%r, %t, %x, %g, %v) {alpha = 9.000000e-01 : f32, beta = 1.000000e+00 : f32, mode = "nesterov", norm_coefficient = 0.000000e+00 : f32} : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y0, %y1 : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}
