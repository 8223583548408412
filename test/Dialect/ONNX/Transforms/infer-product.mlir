// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @mat_mul(
// CHECK-SAME: -> tensor<?x7x32xf32> {
func.func @mat_mul(%a: tensor<?x7x64xf32>, %b: tensor<64x32xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.MatMul(%a, %b) : (tensor<?x7x64xf32>, tensor<64x32xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @gemm(
// CHECK-SAME: -> tensor<?x10xf32> {
func.func @gemm(%a: tensor<?x64xf32>, %b: tensor<10x64xf32>, %c: tensor<10xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Gemm(%a, %b, %c) {transB = 1 : i64} : (tensor<?x64xf32>, tensor<10x64xf32>, tensor<10xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @einsum(
// CHECK-SAME: -> tensor<2x3x5xf32> {
func.func @einsum(%a: tensor<2x3x4xf32>, %b: tensor<2x4x5xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Einsum(%a, %b) {equation = "bij,bjk->bik"} : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
