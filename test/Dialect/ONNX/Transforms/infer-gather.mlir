// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @gather(
// CHECK-SAME: -> tensor<?x7x64xf32> {
func.func @gather(%table: tensor<512x64xf32>, %ids: tensor<?x7xi64>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Gather(%table, %ids) : (tensor<512x64xf32>, tensor<?x7xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @gather_elements(
// CHECK-SAME: -> tensor<2x2xf32> {
func.func @gather_elements(%x: tensor<2x3xf32>, %i: tensor<2x2xi64>) -> tensor<*x!onnx.unknown> {
  %y = onnx.GatherElements(%x, %i) {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x2xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @gather_nd(
// CHECK-SAME: -> tensor<5x4xf32> {
func.func @gather_nd(%x: tensor<2x3x4xf32>, %i: tensor<5x2xi64>) -> tensor<*x!onnx.unknown> {
  %y = onnx.GatherND(%x, %i) : (tensor<2x3x4xf32>, tensor<5x2xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @compress(
// CHECK-SAME: -> tensor<?x2xf32> {
func.func @compress(%x: tensor<3x2xf32>, %c: tensor<3xi1>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Compress(%x, %c) {axis = 0 : i64} : (tensor<3x2xf32>, tensor<3xi1>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @unique(
// CHECK-SAME: -> (tensor<?xf32>, tensor<?xi64>, tensor<6xi64>, tensor<?xi64>) {
func.func @unique(%x: tensor<6xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %y, %i, %j, %n = onnx.Unique(%x) : (tensor<6xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y, %i, %j, %n : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}
