// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @resize(
// CHECK-SAME: -> tensor<1x3x8x8xf32> {
func.func @resize(%x: tensor<1x3x4x4xf32>) -> tensor<*x!onnx.unknown> {
  %scales = onnx.Constant {value = dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>} : tensor<4xf32>
  %none = onnx.NoValue : none
  %y = onnx.Resize(%x, %none, %scales, %none) {mode = "linear"} : (tensor<1x3x4x4xf32>, none, tensor<4xf32>, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
