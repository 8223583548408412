// RUN: nibble-opt %s -onnx-normalize-opset | FileCheck %s

// Before opset 13 Softmax saw a matrix whose columns are the dimensions from
// axis (default 1) on.

module attributes {onnx.opset_version = 11 : i64} {
// CHECK-LABEL: func @default(
// CHECK-SAME: %[[X:.*]]: tensor<2x3x4xf32>
// CHECK-DAG: %[[SHAPE:.*]] = onnx.Shape(%[[X]])
// CHECK-DAG: %[[M:.*]] = onnx.Flatten(%[[X]]) : (tensor<2x3x4xf32>) -> tensor<?x?xf32>
// CHECK: %[[Y:.*]] = onnx.Softmax(%[[M]]) : (tensor<?x?xf32>) -> tensor<?x?xf32>
// CHECK: onnx.Reshape(%[[Y]], %[[SHAPE]]) : (tensor<?x?xf32>, tensor<*xi64>) -> tensor<2x3x4xf32>
func.func @default(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %y = onnx.Softmax(%x) : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// The last axis is the same in both definitions.
// CHECK-LABEL: func @last(
// CHECK-NEXT: onnx.LogSoftmax(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @last(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.LogSoftmax(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
}
