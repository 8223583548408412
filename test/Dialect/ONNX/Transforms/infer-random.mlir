// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @normal(
// CHECK-SAME: -> tensor<2x3xf64> {
func.func @normal() -> tensor<*x!onnx.unknown> {
  %y0 = onnx.RandomNormal() {dtype = 11 : i64, shape = array<i64: 2, 3>} : () -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @uniform(
// CHECK-SAME: -> tensor<4xf32> {
func.func @uniform() -> tensor<*x!onnx.unknown> {
  %y0 = onnx.RandomUniform() {high = 2.000000e+00 : f32, seed = 1.000000e+00 : f32, shape = array<i64: 4>} : () -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @normal_like(
// CHECK-SAME: -> tensor<?x3xf32> {
func.func @normal_like(%x: tensor<?x3xi64>) -> tensor<*x!onnx.unknown> {
  %y0 = onnx.RandomNormalLike(%x) {dtype = 1 : i64} : (tensor<?x3xi64>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @uniform_like(
// CHECK-SAME: -> tensor<?x3xf16> {
func.func @uniform_like(%x: tensor<?x3xf16>) -> tensor<*x!onnx.unknown> {
  %y0 = onnx.RandomUniformLike(%x) : (tensor<?x3xf16>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @bernoulli(
// CHECK-SAME: -> tensor<2x3xi1> {
func.func @bernoulli(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y0 = onnx.Bernoulli(%x) {dtype = 9 : i64} : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @multinomial(
// CHECK-SAME: -> tensor<2x4xi32> {
func.func @multinomial(%x: tensor<2x10xf32>) -> tensor<*x!onnx.unknown> {
  %y0 = onnx.Multinomial(%x) {sample_size = 4 : i64} : (tensor<2x10xf32>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}
