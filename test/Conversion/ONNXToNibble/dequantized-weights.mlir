// A weight that DequantizeLinear makes of constants is a weight with a scheme.
// RUN: nibble-opt %s -convert-onnx-to-nibble | FileCheck %s

// CHECK-LABEL: func.func @blocks
func.func @blocks(%x: tensor<2x32xf32>) -> tensor<2x3xf32> {
  // CHECK-NOT: onnx.DequantizeLinear
  // CHECK: nibble.matmul %arg0 weight({{.*}}) {k = 32 : i64, layers = ["fc"], n = 3 : i64, scheme = #nibble.scheme<int4, group = 16, scale = f32, packing = rows>}
  // CHECK-SAME: (tensor<2x32xf32>, tensor<3x16xi8>, tensor<3x2xf32>)
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<-3> : tensor<32x3xi4>} : tensor<32x3xi4>
  %s = onnx.Constant {value = dense<[[0.5, 1.0, 2.0], [0.25, 1.0, 2.0]]> : tensor<2x3xf32>} : tensor<2x3xf32>
  %d = onnx.DequantizeLinear(%w, %s, %none) {axis = 0 : i64, block_size = 16 : i64} : (tensor<32x3xi4>, tensor<2x3xf32>, none) -> tensor<32x3xf32>
  %y = onnx.MatMul(%x, %d) {onnx.name = "fc"} : (tensor<2x32xf32>, tensor<32x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @channels
func.func @channels(%x: tensor<1x2x4x4xf32>) -> tensor<1x3x4x4xf32> {
  // CHECK: nibble.constant {onnx.name = "weight.zeros"} dense<{{\[\[}}7], [0], [9]]> : tensor<3x1xi8>
  // CHECK: nibble.conv %arg0 weight({{.*}}) {{.*}}scheme = #nibble.scheme<int8, group = -1, scale = f32, zero = integer, packing = rows>
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<5> : tensor<3x2x1x1xui8>} : tensor<3x2x1x1xui8>
  %s = onnx.Constant {value = dense<[0.5, 1.0, 2.0]> : tensor<3xf32>} : tensor<3xf32>
  %z = onnx.Constant {value = dense<[7, 0, 9]> : tensor<3xui8>} : tensor<3xui8>
  %d = onnx.DequantizeLinear(%w, %s, %z) {axis = 0 : i64} : (tensor<3x2x1x1xui8>, tensor<3xf32>, tensor<3xui8>) -> tensor<3x2x1x1xf32>
  %y = onnx.Conv(%x, %d, %none) : (tensor<1x2x4x4xf32>, tensor<3x2x1x1xf32>, none) -> tensor<1x3x4x4xf32>
  return %y : tensor<1x3x4x4xf32>
}

// Behind a transpose the other dimension holds the rows.
// CHECK-LABEL: func.func @transposed
func.func @transposed(%x: tensor<2x4xf32>) -> tensor<2x3xf32> {
  // CHECK: nibble.matmul {{.*}} n = 3 : i64, scheme = #nibble.scheme<int8, group = -1, scale = f32, packing = rows>
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<5> : tensor<3x4xi8>} : tensor<3x4xi8>
  %s = onnx.Constant {value = dense<[0.5, 1.0, 2.0]> : tensor<3xf32>} : tensor<3xf32>
  %d = onnx.DequantizeLinear(%w, %s, %none) {axis = 0 : i64} : (tensor<3x4xi8>, tensor<3xf32>, none) -> tensor<3x4xf32>
  %t = onnx.Transpose(%d) {perm = array<i64: 1, 0>} : (tensor<3x4xf32>) -> tensor<4x3xf32>
  %y = onnx.MatMul(%x, %t) : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// Scales along the contraction are not those of a row.
// CHECK-LABEL: func.func @wrong_axis
func.func @wrong_axis(%x: tensor<2x4xf32>) -> tensor<2x3xf32> {
  // CHECK: onnx.DequantizeLinear
  // CHECK: onnx.MatMul
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<5> : tensor<4x3xi8>} : tensor<4x3xi8>
  %s = onnx.Constant {value = dense<[0.5, 1.0, 2.0, 3.0]> : tensor<4xf32>} : tensor<4xf32>
  %d = onnx.DequantizeLinear(%w, %s, %none) {axis = 0 : i64} : (tensor<4x3xi8>, tensor<4xf32>, none) -> tensor<4x3xf32>
  %y = onnx.MatMul(%x, %d) : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
