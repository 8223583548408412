// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @conv
// CHECK: onnx.Conv(%{{.*}}, %{{.*}}, %{{.*}}) {pads = array<i64: 1, 1, 1, 1>} : (tensor<?x3x8x8xf32>, tensor<16x3x3x3xf32>, tensor<16xf32>) -> tensor<?x16x8x8xf32>
func.func @conv(%x: tensor<?x3x8x8xf32>, %w: tensor<16x3x3x3xf32>, %b: tensor<16xf32>) -> tensor<?x16x8x8xf32> {
  %y = onnx.Conv(%x, %w, %b) {pads = array<i64: 1, 1, 1, 1>} : (tensor<?x3x8x8xf32>, tensor<16x3x3x3xf32>, tensor<16xf32>) -> tensor<?x16x8x8xf32>
  return %y : tensor<?x16x8x8xf32>
}

// CHECK-LABEL: func @conv_transpose
// CHECK: onnx.ConvTranspose(%{{.*}}, %{{.*}}, %{{.*}}) {strides = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>, tensor<8x4x2x2xf32>, none) -> tensor<1x4x8x8xf32>
func.func @conv_transpose(%x: tensor<1x8x4x4xf32>, %w: tensor<8x4x2x2xf32>) -> tensor<1x4x8x8xf32> {
  %none = onnx.NoValue : none
  %y = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>, tensor<8x4x2x2xf32>, none) -> tensor<1x4x8x8xf32>
  return %y : tensor<1x4x8x8xf32>
}

// CHECK-LABEL: func @conv_integer
// CHECK: onnx.ConvInteger(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<1x3x8x8xui8>, tensor<16x3x3x3xui8>, none, none) -> tensor<1x16x6x6xi32>
func.func @conv_integer(%x: tensor<1x3x8x8xui8>, %w: tensor<16x3x3x3xui8>) -> tensor<1x16x6x6xi32> {
  %none = onnx.NoValue : none
  %y = onnx.ConvInteger(%x, %w, %none, %none) : (tensor<1x3x8x8xui8>, tensor<16x3x3x3xui8>, none, none) -> tensor<1x16x6x6xi32>
  return %y : tensor<1x16x6x6xi32>
}

// CHECK-LABEL: func @qlinear_conv
// CHECK: onnx.QLinearConv(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<1x3x8x8xui8>, tensor<f32>, tensor<ui8>, tensor<16x3x3x3xi8>, tensor<16xf32>, tensor<i8>, tensor<f32>, tensor<ui8>, none) -> tensor<1x16x6x6xui8>
func.func @qlinear_conv(%x: tensor<1x3x8x8xui8>, %xs: tensor<f32>, %xz: tensor<ui8>, %w: tensor<16x3x3x3xi8>, %ws: tensor<16xf32>, %wz: tensor<i8>, %ys: tensor<f32>, %yz: tensor<ui8>) -> tensor<1x16x6x6xui8> {
  %none = onnx.NoValue : none
  %y = onnx.QLinearConv(%x, %xs, %xz, %w, %ws, %wz, %ys, %yz, %none) : (tensor<1x3x8x8xui8>, tensor<f32>, tensor<ui8>, tensor<16x3x3x3xi8>, tensor<16xf32>, tensor<i8>, tensor<f32>, tensor<ui8>, none) -> tensor<1x16x6x6xui8>
  return %y : tensor<1x16x6x6xui8>
}
