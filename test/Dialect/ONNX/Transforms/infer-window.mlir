// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Sizes of windows: padding that follows from the size, rounding up, dilation.

// CHECK-LABEL: func @same(
// CHECK-SAME: -> tensor<1x8x14x?xf32>
func.func @same(%x: tensor<1x4x28x?xf32>, %w: tensor<8x4x5x5xf32>) -> tensor<*xf32> {
  %none = onnx.NoValue : none
  %0 = onnx.Conv(%x, %w, %none) {auto_pad = "SAME_UPPER", strides = array<i64: 2, 1>} : (tensor<1x4x28x?xf32>, tensor<8x4x5x5xf32>, none) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// CHECK-LABEL: func @ceil(
// CHECK-SAME: -> tensor<1x4x3xf32>
func.func @ceil(%x: tensor<1x4x6xf32>) -> tensor<*xf32> {
  %0:2 = onnx.MaxPool(%x) {ceil_mode = 1 : i64, kernel_shape = array<i64: 3>, strides = array<i64: 2>} : (tensor<1x4x6xf32>) -> (tensor<*xf32>, none)
  return %0#0 : tensor<*xf32>
}

// The last window would start in the padding at the end: it is left out.
// CHECK-LABEL: func @ceil_padding(
// CHECK-SAME: -> tensor<1x4x2xf32>
func.func @ceil_padding(%x: tensor<1x4x3xf32>) -> tensor<*xf32> {
  %0 = onnx.AveragePool(%x) {ceil_mode = 1 : i64, kernel_shape = array<i64: 1>, pads = array<i64: 0, 1>, strides = array<i64: 2>} : (tensor<1x4x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// CHECK-LABEL: func @transposed(
// CHECK-SAME: -> tensor<1x2x9xf32>
func.func @transposed(%x: tensor<1x4x4xf32>, %w: tensor<4x2x3xf32>) -> tensor<*xf32> {
  %none = onnx.NoValue : none
  %0 = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 2>} : (tensor<1x4x4xf32>, tensor<4x2x3xf32>, none) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}
