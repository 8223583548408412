// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @reduce_l1(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_l1(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceL1(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reduce_l2(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_l2(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceL2(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reduce_log_sum(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_log_sum(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceLogSum(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reduce_log_sum_exp(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_log_sum_exp(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceLogSumExp(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reduce_max(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_max(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceMax(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reduce_mean(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_mean(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceMean(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reduce_min(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_min(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceMin(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reduce_prod(
// CHECK-SAME: -> tensor<2x1xf32> {
func.func @reduce_prod(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.ReduceProd(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
