// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Padding holds what no maximum takes.
// CHECK: #[[$IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2 * 2 + d4, d3 * 2 + d5)>
// CHECK-LABEL: func.func @max
// CHECK: arith.constant 0xFF800000 : f32
// CHECK: linalg.fill {{.*}} tensor<1x2x7x7xf32>
// CHECK: linalg.generic {indexing_maps = [#[[$IN]],
// CHECK: arith.maximumf
func.func @max(%a: tensor<1x2x6x6xf32>) -> tensor<1x2x3x3xf32> {
  %0, %1 = onnx.MaxPool(%a) {kernel_shape = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 0, 0>} : (tensor<1x2x6x6xf32>) -> (tensor<1x2x3x3xf32>, none)
  return %0 : tensor<1x2x3x3xf32>
}

// -----

// Without padding every window counts the same.
// CHECK-LABEL: func.func @average
// CHECK: arith.addf
// CHECK-NOT: linalg.index
// CHECK: arith.divf
func.func @average(%a: tensor<1x2x6x6xf32>) -> tensor<1x2x3x3xf32> {
  %0 = onnx.AveragePool(%a) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x2x6x6xf32>) -> tensor<1x2x3x3xf32>
  return %0 : tensor<1x2x3x3xf32>
}

// -----

// CHECK-LABEL: func.func @global
// CHECK: iterator_types = ["parallel", "parallel", "reduction", "reduction"]
// CHECK: tensor.expand_shape
func.func @global(%a: tensor<?x2x6x6xf32>) -> tensor<?x2x1x1xf32> {
  %0 = onnx.GlobalAveragePool(%a) : (tensor<?x2x6x6xf32>) -> tensor<?x2x1x1xf32>
  return %0 : tensor<?x2x1x1xf32>
}
