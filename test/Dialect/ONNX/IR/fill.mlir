// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @constant_of_shape
// CHECK: onnx.ConstantOfShape(%{{.*}}) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x?xi64>
func.func @constant_of_shape(%shape: tensor<2xi64>) -> tensor<?x?xi64> {
  %y = onnx.ConstantOfShape(%shape) {value = dense<1> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x?xi64>
  return %y : tensor<?x?xi64>
}

// CHECK-LABEL: func @range
// CHECK: onnx.Range(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
func.func @range(%start: tensor<i64>, %limit: tensor<i64>, %delta: tensor<i64>) -> tensor<?xi64> {
  %y = onnx.Range(%start, %limit, %delta) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  return %y : tensor<?xi64>
}

// CHECK-LABEL: func @eye_like
// CHECK: onnx.EyeLike(%{{.*}}) {k = 1 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
func.func @eye_like(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %y = onnx.EyeLike(%x) {k = 1 : i64} : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// CHECK-LABEL: func @one_hot
// CHECK: onnx.OneHot(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<4xi64>, tensor<i64>, tensor<2xf32>) -> tensor<4x?xf32>
func.func @one_hot(%i: tensor<4xi64>, %depth: tensor<i64>, %values: tensor<2xf32>) -> tensor<4x?xf32> {
  %y = onnx.OneHot(%i, %depth, %values) : (tensor<4xi64>, tensor<i64>, tensor<2xf32>) -> tensor<4x?xf32>
  return %y : tensor<4x?xf32>
}

// CHECK-LABEL: func @trilu
// CHECK: onnx.Trilu(%{{.*}}, %{{.*}}) {upper = 0 : i64} : (tensor<4x4xf32>, none) -> tensor<4x4xf32>
func.func @trilu(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Trilu(%x, %none) {upper = 0 : i64} : (tensor<4x4xf32>, none) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
