// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @mat_mul
// CHECK: onnx.MatMul(%{{.*}}, %{{.*}}) : (tensor<?x7x64xf32>, tensor<64x32xf32>) -> tensor<?x7x32xf32>
func.func @mat_mul(%a: tensor<?x7x64xf32>, %b: tensor<64x32xf32>) -> tensor<?x7x32xf32> {
  %y = onnx.MatMul(%a, %b) : (tensor<?x7x64xf32>, tensor<64x32xf32>) -> tensor<?x7x32xf32>
  return %y : tensor<?x7x32xf32>
}

// CHECK-LABEL: func @gemm
// CHECK: onnx.Gemm(%{{.*}}, %{{.*}}, %{{.*}}) {transB = 1 : i64} : (tensor<?x64xf32>, tensor<10x64xf32>, tensor<10xf32>) -> tensor<?x10xf32>
func.func @gemm(%a: tensor<?x64xf32>, %b: tensor<10x64xf32>, %c: tensor<10xf32>) -> tensor<?x10xf32> {
  %y = onnx.Gemm(%a, %b, %c) {transB = 1 : i64} : (tensor<?x64xf32>, tensor<10x64xf32>, tensor<10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// CHECK-LABEL: func @einsum
// CHECK: onnx.Einsum(%{{.*}}, %{{.*}}) {equation = "bij,bjk->bik"} : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>
func.func @einsum(%a: tensor<2x3x4xf32>, %b: tensor<2x4x5xf32>) -> tensor<2x3x5xf32> {
  %y = onnx.Einsum(%a, %b) {equation = "bij,bjk->bik"} : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>
  return %y : tensor<2x3x5xf32>
}
