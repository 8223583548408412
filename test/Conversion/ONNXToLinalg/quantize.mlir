// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Divide, round half to even, add the zero point, clamp, then convert.
// CHECK-LABEL: func.func @quantize
// CHECK: arith.divf
// CHECK: math.roundeven
// CHECK: arith.addf
// CHECK: arith.maximumf
// CHECK: arith.minimumf
// CHECK: arith.fptosi
func.func @quantize(%x: tensor<4xf32>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<4xui8> {
  %0 = onnx.QuantizeLinear(%x, %s, %z) : (tensor<4xf32>, tensor<f32>, tensor<ui8>) -> tensor<4xui8>
  return %0 : tensor<4xui8>
}

// -----

// Blocks share a scale.
// CHECK: #[[$BLOCK:.*]] = affine_map<(d0, d1) -> (d0, d1 floordiv 2)>
// CHECK-LABEL: func.func @blocked
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[$BLOCK]], #{{.*}}]
func.func @blocked(%x: tensor<3x4xi8>, %s: tensor<3x2xf32>) -> tensor<3x4xf32> {
  %none = onnx.NoValue : none
  %0 = onnx.DequantizeLinear(%x, %s, %none) {axis = 1 : i64, block_size = 2 : i64} : (tensor<3x4xi8>, tensor<3x2xf32>, none) -> tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}
