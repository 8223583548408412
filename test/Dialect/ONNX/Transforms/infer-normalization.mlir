// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @batch_normalization(
// CHECK-SAME: -> tensor<1x8x4x4xf32> {
func.func @batch_normalization(%x: tensor<1x8x4x4xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>, %mean: tensor<8xf32>, %var: tensor<8xf32>) -> tensor<*x!onnx.unknown> {
  %y, %m, %v = onnx.BatchNormalization(%x, %s, %b, %mean, %var) : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<*x!onnx.unknown>, none, none)
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @instance_normalization(
// CHECK-SAME: -> tensor<1x8x4x4xf32> {
func.func @instance_normalization(%x: tensor<1x8x4x4xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.InstanceNormalization(%x, %s, %b) : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @layer_normalization(
// CHECK-SAME: -> tensor<?x7x64xf32> {
func.func @layer_normalization(%x: tensor<?x7x64xf32>, %s: tensor<64xf32>, %b: tensor<64xf32>) -> tensor<*x!onnx.unknown> {
  %y, %m, %d = onnx.LayerNormalization(%x, %s, %b) : (tensor<?x7x64xf32>, tensor<64xf32>, tensor<64xf32>) -> (tensor<*x!onnx.unknown>, none, none)
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @rmsnormalization(
// CHECK-SAME: -> tensor<?x7x64xf32> {
func.func @rmsnormalization(%x: tensor<?x7x64xf32>, %s: tensor<64xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.RMSNormalization(%x, %s) : (tensor<?x7x64xf32>, tensor<64xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @group_normalization(
// CHECK-SAME: -> tensor<1x8x4x4xf32> {
func.func @group_normalization(%x: tensor<1x8x4x4xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.GroupNormalization(%x, %s, %b) {num_groups = 2 : i64} : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @lrn(
// CHECK-SAME: -> tensor<1x8x4x4xf32> {
func.func @lrn(%x: tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.LRN(%x) {size = 3 : i64} : (tensor<1x8x4x4xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @dropout(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @dropout(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y, %mask = onnx.Dropout(%x, %none, %none) : (tensor<2x3xf32>, none, none) -> (tensor<*x!onnx.unknown>, none)
  return %y : tensor<*x!onnx.unknown>
}
