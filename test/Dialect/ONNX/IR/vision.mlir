// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @affine_grid(
// CHECK: onnx.AffineGrid(%{{.*}}, %{{.*}}) {align_corners = 1 : i64} : (tensor<1x2x3xf32>, tensor<4xi64>) -> tensor<1x5x6x2xf32>
func.func @affine_grid(%t: tensor<1x2x3xf32>) -> tensor<1x5x6x2xf32> {
  %s = onnx.Constant {value = dense<[1, 3, 5, 6]> : tensor<4xi64>} : tensor<4xi64>
  %y0 = onnx.AffineGrid(%t, %s) {align_corners = 1 : i64} : (tensor<1x2x3xf32>, tensor<4xi64>) -> tensor<1x5x6x2xf32>
  return %y0 : tensor<1x5x6x2xf32>
}

// CHECK-LABEL: func @grid_sample(
// CHECK: onnx.GridSample(%{{.*}}, %{{.*}}) {mode = "cubic", padding_mode = "border"} : (tensor<2x3x4x5xf32>, tensor<2x6x7x2xf32>) -> tensor<2x3x6x7xf32>
func.func @grid_sample(%x: tensor<2x3x4x5xf32>, %g: tensor<2x6x7x2xf32>) -> tensor<2x3x6x7xf32> {
  %y0 = onnx.GridSample(%x, %g) {mode = "cubic", padding_mode = "border"} : (tensor<2x3x4x5xf32>, tensor<2x6x7x2xf32>) -> tensor<2x3x6x7xf32>
  return %y0 : tensor<2x3x6x7xf32>
}

// CHECK-LABEL: func @deform_conv(
// CHECK: onnx.DeformConv(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x1x3x3xf32>, tensor<4x1x2x2xf32>, tensor<1x8x4x4xf32>, none, none) -> tensor<1x4x4x4xf32>
func.func @deform_conv(%x: tensor<1x1x3x3xf32>, %w: tensor<4x1x2x2xf32>, %o: tensor<1x8x4x4xf32>) -> tensor<1x4x4x4xf32> {
  %none = onnx.NoValue : none
  %y0 = onnx.DeformConv(%x, %w, %o, %none, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x1x3x3xf32>, tensor<4x1x2x2xf32>, tensor<1x8x4x4xf32>, none, none) -> tensor<1x4x4x4xf32>
  return %y0 : tensor<1x4x4x4xf32>
}

// CHECK-LABEL: func @center_crop_pad(
// CHECK: onnx.CenterCropPad(%{{.*}}, %{{.*}}) {axes = array<i64: 0, -2>} : (tensor<20x10x3xf32>, tensor<2xi64>) -> tensor<10x12x3xf32>
func.func @center_crop_pad(%x: tensor<20x10x3xf32>) -> tensor<10x12x3xf32> {
  %s = onnx.Constant {value = dense<[10, 12]> : tensor<2xi64>} : tensor<2xi64>
  %y0 = onnx.CenterCropPad(%x, %s) {axes = array<i64: 0, -2>} : (tensor<20x10x3xf32>, tensor<2xi64>) -> tensor<10x12x3xf32>
  return %y0 : tensor<10x12x3xf32>
}

// CHECK-LABEL: func @col2im(
// CHECK: onnx.Col2Im(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<1x10x12xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x2x5x8xf32>
func.func @col2im(%x: tensor<1x10x12xf32>) -> tensor<1x2x5x8xf32> {
  %i = onnx.Constant {value = dense<[5, 8]> : tensor<2xi64>} : tensor<2xi64>
  %b = onnx.Constant {value = dense<[1, 5]> : tensor<2xi64>} : tensor<2xi64>
  %y0 = onnx.Col2Im(%x, %i, %b) : (tensor<1x10x12xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x2x5x8xf32>
  return %y0 : tensor<1x2x5x8xf32>
}

// CHECK-LABEL: func @max_unpool(
// CHECK: onnx.MaxUnpool(%{{.*}}, %{{.*}}, %{{.*}}) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x1x2x2xf32>, tensor<1x1x2x2xi64>, none) -> tensor<1x1x4x4xf32>
func.func @max_unpool(%x: tensor<1x1x2x2xf32>, %i: tensor<1x1x2x2xi64>) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue : none
  %y0 = onnx.MaxUnpool(%x, %i, %none) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x1x2x2xf32>, tensor<1x1x2x2xi64>, none) -> tensor<1x1x4x4xf32>
  return %y0 : tensor<1x1x4x4xf32>
}

// CHECK-LABEL: func @roi_align(
// CHECK: onnx.RoiAlign(%{{.*}}, %{{.*}}, %{{.*}}) {output_height = 5 : i64, output_width = 6 : i64} : (tensor<1x3x10x10xf32>, tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x3x5x6xf32>
func.func @roi_align(%x: tensor<1x3x10x10xf32>, %r: tensor<?x4xf32>, %i: tensor<?xi64>) -> tensor<?x3x5x6xf32> {
  %y0 = onnx.RoiAlign(%x, %r, %i) {output_height = 5 : i64, output_width = 6 : i64} : (tensor<1x3x10x10xf32>, tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x3x5x6xf32>
  return %y0 : tensor<?x3x5x6xf32>
}

// CHECK-LABEL: func @max_roi_pool(
// CHECK: onnx.MaxRoiPool(%{{.*}}, %{{.*}}) {pooled_shape = array<i64: 2, 3>} : (tensor<1x3x10x10xf32>, tensor<4x5xf32>) -> tensor<4x3x2x3xf32>
func.func @max_roi_pool(%x: tensor<1x3x10x10xf32>, %r: tensor<4x5xf32>) -> tensor<4x3x2x3xf32> {
  %y0 = onnx.MaxRoiPool(%x, %r) {pooled_shape = array<i64: 2, 3>} : (tensor<1x3x10x10xf32>, tensor<4x5xf32>) -> tensor<4x3x2x3xf32>
  return %y0 : tensor<4x3x2x3xf32>
}

// CHECK-LABEL: func @nms(
// CHECK: onnx.NonMaxSuppression(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<1x6x4xf32>, tensor<1x1x6xf32>, none, none, none) -> tensor<?x3xi64>
func.func @nms(%b: tensor<1x6x4xf32>, %s: tensor<1x1x6xf32>) -> tensor<?x3xi64> {
  %none = onnx.NoValue : none
  %y0 = onnx.NonMaxSuppression(%b, %s, %none, %none, %none) : (tensor<1x6x4xf32>, tensor<1x1x6xf32>, none, none, none) -> tensor<?x3xi64>
  return %y0 : tensor<?x3xi64>
}

// CHECK-LABEL: func @image_decoder(
// CHECK: onnx.ImageDecoder(%{{.*}}) {pixel_format = "Grayscale"} : (tensor<?xui8>) -> tensor<?x?x1xui8>
func.func @image_decoder(%x: tensor<?xui8>) -> tensor<?x?x1xui8> {
  %y0 = onnx.ImageDecoder(%x) {pixel_format = "Grayscale"} : (tensor<?xui8>) -> tensor<?x?x1xui8>
  return %y0 : tensor<?x?x1xui8>
}
