// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Scaled in one pass over the row, statistics in f32.
// CHECK-LABEL: func.func @rms
// CHECK: arith.extf
// CHECK: arith.mulf
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: arith.constant 9.99999997E-7 : f32
// CHECK: math.sqrt
// CHECK: arith.truncf {{.*}} : f32 to f16
func.func @rms(%x: tensor<?x?x64xf16>, %scale: tensor<64xf16>) -> tensor<?x?x64xf16> {
  %0 = onnx.RMSNormalization(%x, %scale) {epsilon = 1.0e-06 : f32} : (tensor<?x?x64xf16>, tensor<64xf16>) -> tensor<?x?x64xf16>
  return %0 : tensor<?x?x64xf16>
}

// -----

// The variance is that of the differences from the mean.
// CHECK-LABEL: func.func @layer
// CHECK: arith.addf
// CHECK: arith.subf
// CHECK: arith.mulf
// CHECK: math.sqrt
func.func @layer(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<?x8xf32> {
  %0:3 = onnx.LayerNormalization(%x, %s, %b) : (tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<?x8xf32>, none, none)
  return %0#0 : tensor<?x8xf32>
}

// -----

// Statistics that are given become one scale for each channel.
// CHECK: #[[$CHANNEL:.*]] = affine_map<(d0, d1, d2, d3) -> (d1)>
// CHECK-LABEL: func.func @batch
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<2xf32>, tensor<2xf32>)
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[$CHANNEL]], #[[$CHANNEL]], #[[$CHANNEL]], #{{.*}}]
func.func @batch(%x: tensor<?x2x4x4xf32>, %c: tensor<2xf32>) -> tensor<?x2x4x4xf32> {
  %0:3 = onnx.BatchNormalization(%x, %c, %c, %c, %c) : (tensor<?x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<?x2x4x4xf32>, none, none)
  return %0#0 : tensor<?x2x4x4xf32>
}
