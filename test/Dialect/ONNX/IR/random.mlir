// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @normal(
// CHECK: onnx.RandomNormal() {dtype = 11 : i64, shape = array<i64: 2, 3>} : () -> tensor<2x3xf64>
func.func @normal() -> tensor<2x3xf64> {
  %y0 = onnx.RandomNormal() {dtype = 11 : i64, shape = array<i64: 2, 3>} : () -> tensor<2x3xf64>
  return %y0 : tensor<2x3xf64>
}

// CHECK-LABEL: func @uniform(
// CHECK: onnx.RandomUniform() {high = 2.000000e+00 : f32, seed = 1.000000e+00 : f32, shape = array<i64: 4>} : () -> tensor<4xf32>
func.func @uniform() -> tensor<4xf32> {
  %y0 = onnx.RandomUniform() {high = 2.000000e+00 : f32, seed = 1.000000e+00 : f32, shape = array<i64: 4>} : () -> tensor<4xf32>
  return %y0 : tensor<4xf32>
}

// CHECK-LABEL: func @normal_like(
// CHECK: onnx.RandomNormalLike(%{{.*}}) {dtype = 1 : i64} : (tensor<?x3xi64>) -> tensor<?x3xf32>
func.func @normal_like(%x: tensor<?x3xi64>) -> tensor<?x3xf32> {
  %y0 = onnx.RandomNormalLike(%x) {dtype = 1 : i64} : (tensor<?x3xi64>) -> tensor<?x3xf32>
  return %y0 : tensor<?x3xf32>
}

// CHECK-LABEL: func @uniform_like(
// CHECK: onnx.RandomUniformLike(%{{.*}}) : (tensor<?x3xf16>) -> tensor<?x3xf16>
func.func @uniform_like(%x: tensor<?x3xf16>) -> tensor<?x3xf16> {
  %y0 = onnx.RandomUniformLike(%x) : (tensor<?x3xf16>) -> tensor<?x3xf16>
  return %y0 : tensor<?x3xf16>
}

// CHECK-LABEL: func @bernoulli(
// CHECK: onnx.Bernoulli(%{{.*}}) {dtype = 9 : i64} : (tensor<2x3xf32>) -> tensor<2x3xi1>
func.func @bernoulli(%x: tensor<2x3xf32>) -> tensor<2x3xi1> {
  %y0 = onnx.Bernoulli(%x) {dtype = 9 : i64} : (tensor<2x3xf32>) -> tensor<2x3xi1>
  return %y0 : tensor<2x3xi1>
}

// CHECK-LABEL: func @multinomial(
// CHECK: onnx.Multinomial(%{{.*}}) {sample_size = 4 : i64} : (tensor<2x10xf32>) -> tensor<2x4xi32>
func.func @multinomial(%x: tensor<2x10xf32>) -> tensor<2x4xi32> {
  %y0 = onnx.Multinomial(%x) {sample_size = 4 : i64} : (tensor<2x10xf32>) -> tensor<2x4xi32>
  return %y0 : tensor<2x4xi32>
}
