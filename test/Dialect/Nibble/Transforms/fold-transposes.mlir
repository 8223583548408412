// Products read transposed operands where they are.
// RUN: nibble-opt %s -nibble-fold-transposes | FileCheck %s

// CHECK-DAG: #[[$KM:.+]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-DAG: #[[$NK:.+]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[$MN:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[$BKM:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d3, d1)>

// CHECK-LABEL: func.func @both
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[G:.*]]: tensor<6x8xf32>
func.func @both(%x: tensor<8x4xf32>, %g: tensor<6x8xf32>, %z: tensor<4x6xf32>) -> tensor<4x6xf32> {
  // CHECK-NOT: linalg.transpose
  // CHECK: linalg.contract indexing_maps = [#[[$KM]], #[[$NK]], #[[$MN]]] ins(%[[X]], %[[G]] :
  %e = tensor.empty() : tensor<4x8xf32>
  %f = tensor.empty() : tensor<8x6xf32>
  %t = linalg.transpose ins(%x : tensor<8x4xf32>) outs(%e : tensor<4x8xf32>) permutation = [1, 0]
  %u = linalg.transpose ins(%g : tensor<6x8xf32>) outs(%f : tensor<8x6xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%t, %u : tensor<4x8xf32>, tensor<8x6xf32>) outs(%z : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// Dimensions of the batch were joined after the others changed places.
// CHECK-LABEL: func.func @joined
// CHECK-SAME: %[[X:.*]]: tensor<2x3x8x4xf32>
func.func @joined(%x: tensor<2x3x8x4xf32>, %g: tensor<6x8x5xf32>, %z: tensor<6x4x5xf32>) -> tensor<6x4x5xf32> {
  // CHECK: %[[C:.+]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1], [2], [3]] : tensor<2x3x8x4xf32> into tensor<6x8x4xf32>
  // CHECK: linalg.contract indexing_maps = [#[[$BKM]], {{.*}} ins(%[[C]],
  %e = tensor.empty() : tensor<2x3x4x8xf32>
  %t = linalg.transpose ins(%x : tensor<2x3x8x4xf32>) outs(%e : tensor<2x3x4x8xf32>) permutation = [0, 1, 3, 2]
  %c = tensor.collapse_shape %t [[0, 1], [2], [3]] : tensor<2x3x4x8xf32> into tensor<6x4x8xf32>
  %y = linalg.batch_matmul ins(%c, %g : tensor<6x4x8xf32>, tensor<6x8x5xf32>) outs(%z : tensor<6x4x5xf32>) -> tensor<6x4x5xf32>
  return %y : tensor<6x4x5xf32>
}

// Integers are not for these kernels.
// CHECK-LABEL: func.func @integers
func.func @integers(%x: tensor<8x4xi32>, %g: tensor<8x6xi32>, %z: tensor<4x6xi32>) -> tensor<4x6xi32> {
  // CHECK: linalg.transpose
  // CHECK: linalg.matmul
  %e = tensor.empty() : tensor<4x8xi32>
  %t = linalg.transpose ins(%x : tensor<8x4xi32>) outs(%e : tensor<4x8xi32>) permutation = [1, 0]
  %y = linalg.matmul ins(%t, %g : tensor<4x8xi32>, tensor<8x6xi32>) outs(%z : tensor<4x6xi32>) -> tensor<4x6xi32>
  return %y : tensor<4x6xi32>
}
