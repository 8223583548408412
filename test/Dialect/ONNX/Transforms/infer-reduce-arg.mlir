// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @reduce_sum(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_sum(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceSum(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reduce_sum_square(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_sum_square(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceSumSquare(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @arg_max(
// CHECK-SAME: -> tensor<2xi64> {
func.func @arg_max(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %i = onnx.ArgMax(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %i : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @arg_min(
// CHECK-SAME: -> tensor<2xi64> {
func.func @arg_min(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %i = onnx.ArgMin(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %i : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @cum_sum(
// CHECK-SAME: -> tensor<5xf32> {
func.func @cum_sum(%x: tensor<5xf32>, %axis: tensor<i32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.CumSum(%x, %axis) {exclusive = 1 : i64} : (tensor<5xf32>, tensor<i32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @top_k(
// CHECK-SAME: -> (tensor<2x3xf32>, tensor<2x3xi64>) {
func.func @top_k(%x: tensor<2x9xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %k = onnx.Constant {value = dense<[3]> : tensor<1xi64>} : tensor<1xi64>
  %v, %i = onnx.TopK(%x, %k) : (tensor<2x9xf32>, tensor<1xi64>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %v, %i : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}
