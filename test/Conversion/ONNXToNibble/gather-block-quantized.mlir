// Tables of GatherBlockQuantized keep their codes.
// RUN: nibble-opt %s -convert-onnx-to-nibble | FileCheck %s

// Bytes hold four codes of 2 bits; without zero points 2 is zero.
// CHECK-LABEL: func.func @two_bits
func.func @two_bits(%i: tensor<?xi64>) -> tensor<?x16xf32> {
  // CHECK: %[[W:.*]] = nibble.constant {onnx.name = "t.codes"} dense<{{\[\[}}-28, -28, -28, -28], [0, 0, 0, 0]]> : tensor<2x4xi8>
  // CHECK: nibble.gather %arg0 weight(%[[W]], %{{[0-9]+}}) {layers = ["embed"], rows = 2 : i64
  // CHECK-SAME: scheme = #nibble.scheme<int2, group = 16, scale = f32, packing = rows>, width = 16 : i64}
  %none = onnx.NoValue : none
  %t = onnx.Constant {onnx.name = "t", value = dense<[[78, 78, 78, 78], [170, 170, 170, 170]]> : tensor<2x4xui8>} : tensor<2x4xui8>
  %s = onnx.Constant {value = dense<0.5> : tensor<2x1xf32>} : tensor<2x1xf32>
  %y = onnx.microsoft.GatherBlockQuantized(%t, %i, %s, %none) {bits = 2 : i64, block_size = 16 : i64, onnx.name = "embed"} : (tensor<2x4xui8>, tensor<?xi64>, tensor<2x1xf32>, none) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// A row of more dimensions is one row, which gets its dimensions back; half
// floats come from the gathered floats.
// CHECK-LABEL: func.func @deep
func.func @deep(%i: tensor<?xi32>) -> tensor<?x2x16xf16> {
  // CHECK: %[[G:.*]] = nibble.gather %arg0 weight({{.*}} zeros
  // CHECK-SAME: scheme = #nibble.scheme<int8, group = 16, scale = f16, zero = integer, packing = rows>, width = 32 : i64}
  // CHECK-SAME: -> tensor<?x32xf32>
  // CHECK: %[[R:.*]] = onnx.Reshape(%[[G]], {{.*}}) : (tensor<?x32xf32>, tensor<3xi64>) -> tensor<?x2x16xf32>
  // CHECK: onnx.Cast(%[[R]]) {to = 10 : i64}
  %t = onnx.Constant {value = dense<3> : tensor<4x2x16xui8>} : tensor<4x2x16xui8>
  %s = onnx.Constant {value = dense<0.5> : tensor<4x2x1xf16>} : tensor<4x2x1xf16>
  %z = onnx.Constant {value = dense<7> : tensor<4x2x1xui8>} : tensor<4x2x1xui8>
  %y = onnx.microsoft.GatherBlockQuantized(%t, %i, %s, %z) {bits = 8 : i64, block_size = 16 : i64, quantize_axis = 2 : i64} : (tensor<4x2x16xui8>, tensor<?xi32>, tensor<4x2x1xf16>, tensor<4x2x1xui8>) -> tensor<?x2x16xf16>
  return %y : tensor<?x2x16xf16>
}

// Signed codes get an offset.
// CHECK-LABEL: func.func @signed
func.func @signed(%i: tensor<3xi64>) -> tensor<3x16xf32> {
  // CHECK: nibble.constant {onnx.name = "weight.codes"} dense<-18> : tensor<2x8xi8>
  // CHECK: nibble.gather
  %none = onnx.NoValue : none
  %t = onnx.Constant {value = dense<-2> : tensor<2x16xi4>} : tensor<2x16xi4>
  %s = onnx.Constant {value = dense<0.5> : tensor<2x1xf32>} : tensor<2x1xf32>
  %y = onnx.microsoft.GatherBlockQuantized(%t, %i, %s, %none) {block_size = 16 : i64} : (tensor<2x16xi4>, tensor<3xi64>, tensor<2x1xf32>, none) -> tensor<3x16xf32>
  return %y : tensor<3x16xf32>
}
