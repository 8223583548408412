// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @conv(
// CHECK-SAME: -> tensor<?x16x8x8xf32> {
func.func @conv(%x: tensor<?x3x8x8xf32>, %w: tensor<16x3x3x3xf32>, %b: tensor<16xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Conv(%x, %w, %b) {pads = array<i64: 1, 1, 1, 1>} : (tensor<?x3x8x8xf32>, tensor<16x3x3x3xf32>, tensor<16xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @conv_transpose(
// CHECK-SAME: -> tensor<1x4x8x8xf32> {
func.func @conv_transpose(%x: tensor<1x8x4x4xf32>, %w: tensor<8x4x2x2xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>, tensor<8x4x2x2xf32>, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @conv_integer(
// CHECK-SAME: -> tensor<1x16x6x6xi32> {
func.func @conv_integer(%x: tensor<1x3x8x8xui8>, %w: tensor<16x3x3x3xui8>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y = onnx.ConvInteger(%x, %w, %none, %none) : (tensor<1x3x8x8xui8>, tensor<16x3x3x3xui8>, none, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @qlinear_conv(
// CHECK-SAME: -> tensor<1x16x6x6xui8> {
func.func @qlinear_conv(%x: tensor<1x3x8x8xui8>, %xs: tensor<f32>, %xz: tensor<ui8>, %w: tensor<16x3x3x3xi8>, %ws: tensor<16xf32>, %wz: tensor<i8>, %ys: tensor<f32>, %yz: tensor<ui8>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y = onnx.QLinearConv(%x, %xs, %xz, %w, %ws, %wz, %ys, %yz, %none) : (tensor<1x3x8x8xui8>, tensor<f32>, tensor<ui8>, tensor<16x3x3x3xi8>, tensor<16xf32>, tensor<i8>, tensor<f32>, tensor<ui8>, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
