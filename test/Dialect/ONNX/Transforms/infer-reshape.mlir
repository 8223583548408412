// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @reshape(
// CHECK-SAME: -> tensor<?x12xf32> {
func.func @reshape(%x: tensor<?x3x4xf32>) -> tensor<*x!onnx.unknown> {
  %shape = onnx.Constant {value = dense<[-1, 12]> : tensor<2xi64>} : tensor<2xi64>
  %y = onnx.Reshape(%x, %shape) : (tensor<?x3x4xf32>, tensor<2xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @flatten(
// CHECK-SAME: -> tensor<?x12xf32> {
func.func @flatten(%x: tensor<?x3x4xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Flatten(%x) : (tensor<?x3x4xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @squeeze(
// CHECK-SAME: -> tensor<3x1xf32> {
func.func @squeeze(%x: tensor<1x3x1xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[0]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.Squeeze(%x, %axes) : (tensor<1x3x1xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @unsqueeze(
// CHECK-SAME: -> tensor<1x3xf32> {
func.func @unsqueeze(%x: tensor<3xf32>) -> tensor<*x!onnx.unknown> {
  %axes = onnx.Constant {value = dense<[0]> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.Unsqueeze(%x, %axes) : (tensor<3xf32>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @expand(
// CHECK-SAME: -> tensor<3x4xf32> {
func.func @expand(%x: tensor<3x1xf32>) -> tensor<*x!onnx.unknown> {
  %shape = onnx.Constant {value = dense<[1, 4]> : tensor<2xi64>} : tensor<2xi64>
  %y = onnx.Expand(%x, %shape) : (tensor<3x1xf32>, tensor<2xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @tile(
// CHECK-SAME: -> tensor<4x9xf32> {
func.func @tile(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %repeats = onnx.Constant {value = dense<[2, 3]> : tensor<2xi64>} : tensor<2xi64>
  %y = onnx.Tile(%x, %repeats) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
