// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @transpose(
// CHECK-SAME: -> tensor<3x2xf32> {
func.func @transpose(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Transpose(%x) {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @concat(
// CHECK-SAME: -> tensor<6x3xf32> {
func.func @concat(%a: tensor<2x3xf32>, %b: tensor<4x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Concat(%a, %b) {axis = 0 : i64} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @split(
// CHECK-SAME: -> (tensor<3x3xf32>, tensor<3x3xf32>) {
func.func @split(%x: tensor<6x3xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %none = onnx.NoValue : none
  %a, %b = onnx.Split(%x, %none) {num_outputs = 2 : i64} : (tensor<6x3xf32>, none) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %a, %b : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @slice(
// CHECK-SAME: -> tensor<4x3xf32> {
func.func @slice(%x: tensor<9x3xf32>) -> tensor<*x!onnx.unknown> {
  %starts = onnx.Constant {value = dense<[2]> : tensor<1xi64>} : tensor<1xi64>
  %ends = onnx.Constant {value = dense<[6]> : tensor<1xi64>} : tensor<1xi64>
  %axes = onnx.Constant {value = dense<[0]> : tensor<1xi64>} : tensor<1xi64>
  %none = onnx.NoValue : none
  %y = onnx.Slice(%x, %starts, %ends, %axes, %none) : (tensor<9x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @pad(
// CHECK-SAME: -> tensor<4x3xf32> {
func.func @pad(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %pads = onnx.Constant {value = dense<[1, 0, 1, 0]> : tensor<4xi64>} : tensor<4xi64>
  %none = onnx.NoValue : none
  %y = onnx.Pad(%x, %pads, %none, %none) : (tensor<2x3xf32>, tensor<4xi64>, none, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @depth_to_space(
// CHECK-SAME: -> tensor<1x2x6x6xf32> {
func.func @depth_to_space(%x: tensor<1x8x3x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.DepthToSpace(%x) {blocksize = 2 : i64} : (tensor<1x8x3x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @space_to_depth(
// CHECK-SAME: -> tensor<1x8x3x3xf32> {
func.func @space_to_depth(%x: tensor<1x2x6x6xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.SpaceToDepth(%x) {blocksize = 2 : i64} : (tensor<1x2x6x6xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @reverse_sequence(
// CHECK-SAME: -> tensor<5x2xf32> {
func.func @reverse_sequence(%x: tensor<5x2xf32>, %lens: tensor<2xi64>) -> tensor<*x!onnx.unknown> {
  %y = onnx.ReverseSequence(%x, %lens) : (tensor<5x2xf32>, tensor<2xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
