// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @identity
// CHECK: onnx.Identity(%{{.*}}) : (tensor<2xf32>) -> tensor<2xf32>
func.func @identity(%x: tensor<2xf32>) -> tensor<2xf32> {
  %y = onnx.Identity(%x) : (tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// CHECK-LABEL: func @cast
// CHECK: onnx.Cast(%{{.*}}) {to = 1 : i64} : (tensor<2xi64>) -> tensor<2xf32>
func.func @cast(%x: tensor<2xi64>) -> tensor<2xf32> {
  %y = onnx.Cast(%x) {to = 1 : i64} : (tensor<2xi64>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// CHECK-LABEL: func @cast_like
// CHECK: onnx.CastLike(%{{.*}}, %{{.*}}) : (tensor<2xi64>, tensor<f32>) -> tensor<2xf32>
func.func @cast_like(%x: tensor<2xi64>, %t: tensor<f32>) -> tensor<2xf32> {
  %y = onnx.CastLike(%x, %t) : (tensor<2xi64>, tensor<f32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// CHECK-LABEL: func @shape
// CHECK: onnx.Shape(%{{.*}}) {end = 1 : i64} : (tensor<?x3xf32>) -> tensor<1xi64>
func.func @shape(%x: tensor<?x3xf32>) -> tensor<1xi64> {
  %s = onnx.Shape(%x) {end = 1 : i64} : (tensor<?x3xf32>) -> tensor<1xi64>
  return %s : tensor<1xi64>
}

// CHECK-LABEL: func @size
// CHECK: onnx.Size(%{{.*}}) : (tensor<?x3xf32>) -> tensor<i64>
func.func @size(%x: tensor<?x3xf32>) -> tensor<i64> {
  %n = onnx.Size(%x) : (tensor<?x3xf32>) -> tensor<i64>
  return %n : tensor<i64>
}

// CHECK-LABEL: func @non_zero
// CHECK: onnx.NonZero(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x?xi64>
func.func @non_zero(%x: tensor<2x3xf32>) -> tensor<2x?xi64> {
  %i = onnx.NonZero(%x) : (tensor<2x3xf32>) -> tensor<2x?xi64>
  return %i : tensor<2x?xi64>
}
