// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// What exporters write that do not know Attention: an input, more positions,
// an output.
// CHECK-LABEL: func.func @concat(
// CHECK: nibble.append_cache %arg0, %{{.*}} {axis = 2 : i64}
func.func @concat(%past: tensor<?x2x?x8xf32>, %x: tensor<?x?x2x8xf32>) -> tensor<?x2x?x8xf32> {
  %k = onnx.Transpose(%x) {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x8xf32>) -> tensor<?x2x?x8xf32>
  %0 = onnx.Concat(%past, %k) {axis = 2 : i64} : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  return %0 : tensor<?x2x?x8xf32>
}

// -----

// Two images side by side are no cache.
// CHECK-LABEL: func.func @images(
// CHECK-NOT: nibble.append_cache
// CHECK: return
func.func @images(%a: tensor<1x3x8x?xf32>, %b: tensor<1x3x8x?xf32>) -> tensor<1x3x8x?xf32> {
  %0 = onnx.Concat(%a, %b) {axis = 3 : i64} : (tensor<1x3x8x?xf32>, tensor<1x3x8x?xf32>) -> tensor<1x3x8x?xf32>
  return %0 : tensor<1x3x8x?xf32>
}

// -----

// Where each batch starts is checked before anything is written.
// CHECK-LABEL: func.func @scatter(
// CHECK: cf.assert %{{.*}}, "cache: the update does not fit in the cache"
// CHECK: nibble.update_cache %arg0, %arg1 at %arg2 {axis = 2 : i64, circular}
func.func @scatter(%past: tensor<2x3x16x8xf32>, %k: tensor<2x3x4x8xf32>, %at: tensor<2xi64>) -> tensor<2x3x16x8xf32> {
  %0 = onnx.TensorScatter(%past, %k, %at) {axis = -2 : i64, mode = "circular", onnx.name = "cache"} : (tensor<2x3x16x8xf32>, tensor<2x3x4x8xf32>, tensor<2xi64>) -> tensor<2x3x16x8xf32>
  return %0 : tensor<2x3x16x8xf32>
}
