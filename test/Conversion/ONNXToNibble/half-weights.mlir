// RUN: nibble-opt %s --convert-onnx-to-nibble --split-input-file | FileCheck %s

// A weight of 16 bits becomes a layer that computes in float32; operands are
// widened and the result is rounded.
// CHECK-LABEL: func.func @matmul
// CHECK: %[[W:.*]] = nibble.constant dense<{{.*}}> : tensor<2x2xf32>
// CHECK: %[[X:.*]] = onnx.Cast(%arg0) {to = 1 : i64} : (tensor<?x2xf16>) -> tensor<?x2xf32>
// CHECK: %[[Y:.*]] = nibble.matmul %[[X]] weight(%[[W]]) {{.*}}layers = ["fc"]
// CHECK: onnx.Cast(%[[Y]]) {to = 10 : i64} : (tensor<?x2xf32>) -> tensor<?x2xf16>
func.func @matmul(%x: tensor<?x2xf16>) -> tensor<?x2xf16> {
  %w = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf16>} : tensor<2x2xf16>
  %y = onnx.MatMul(%x, %w) {onnx.name = "fc"} : (tensor<?x2xf16>, tensor<2x2xf16>) -> tensor<?x2xf16>
  return %y : tensor<?x2xf16>
}

// -----

// CHECK-LABEL: func.func @conv
// CHECK: onnx.Cast(%arg0) {to = 1 : i64}
// CHECK: nibble.conv {{.*}} bias(
// CHECK: onnx.Cast(%{{.*}}) {to = 16 : i64}
func.func @conv(%x: tensor<1x1x4x4xbf16>) -> tensor<1x2x2x2xbf16> {
  %w = onnx.Constant {value = dense<0.5> : tensor<2x1x3x3xbf16>} : tensor<2x1x3x3xbf16>
  %b = onnx.Constant {value = dense<[1.0, 2.0]> : tensor<2xbf16>} : tensor<2xbf16>
  %y = onnx.Conv(%x, %w, %b) : (tensor<1x1x4x4xbf16>, tensor<2x1x3x3xbf16>, tensor<2xbf16>) -> tensor<1x2x2x2xbf16>
  return %y : tensor<1x2x2x2xbf16>
}

// -----

// Rows of a table of 16 bits, and the head that shares it: one wide table.
// CHECK-LABEL: func.func @tied
// CHECK: %[[T:.*]] = nibble.constant {onnx.name = "embed"} dense_resource<embed.widened> : tensor<64x8xf32>
// CHECK: %[[R:.*]] = nibble.gather %arg0 weight(%[[T]]) {{.*}} -> tensor<3x8xf32>
// CHECK: onnx.Cast(%[[R]]) {to = 10 : i64} : (tensor<3x8xf32>) -> tensor<3x8xf16>
// CHECK: nibble.matmul %{{.*}} weight(%[[T]]) {{.*}}layers = ["head"]
func.func @tied(%i: tensor<3xi64>) -> tensor<3x64xf16> {
  %t = onnx.Constant {value = dense<0.5> : tensor<64x8xf16>, onnx.name = "embed"} : tensor<64x8xf16>
  %x = onnx.Gather(%t, %i) {axis = 0 : i64, onnx.name = "tokens"} : (tensor<64x8xf16>, tensor<3xi64>) -> tensor<3x8xf16>
  %w = onnx.Transpose(%t) {perm = array<i64: 1, 0>} : (tensor<64x8xf16>) -> tensor<8x64xf16>
  %y = onnx.MatMul(%x, %w) {onnx.name = "head"} : (tensor<3x8xf16>, tensor<8x64xf16>) -> tensor<3x64xf16>
  return %y : tensor<3x64xf16>
}
