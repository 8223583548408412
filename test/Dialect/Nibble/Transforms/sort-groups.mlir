// Columns of a weight with a group index are put in the order of the groups.
// RUN: nibble-opt %s -nibble-sort-groups | FileCheck %s

// Both groups are full: odd columns go first, as their index says.
// CHECK-LABEL: func.func @full
func.func @full(%x: tensor<?x4xf32>) -> tensor<?x1xf32> {
  // CHECK-DAG: %[[W:.*]] = nibble.constant dense<{{\[\[}}2, 4, 1, 3]]> : tensor<1x4xi8>
  // CHECK-DAG: %[[S:.*]] = nibble.constant dense<{{\[\[}}5.000000e-01, 2.500000e-01]]> : tensor<1x2xf32>
  // CHECK-DAG: %[[C:.*]] = nibble.constant dense<[1, 3, 0, 2]> : tensor<4xi32>
  // CHECK: %[[X:.*]] = linalg.generic {{.*}} ins(%[[C]] : tensor<4xi32>)
  // CHECK: tensor.extract %arg0
  // CHECK: nibble.matmul %[[X]] weight(%[[W]], %[[S]]) {k = 4 : i64, n = 1 : i64, scheme = #nibble.scheme<int8, group = 2, scale = f32, packing = rows>}
  %w = nibble.constant dense<[[1, 2, 3, 4]]> : tensor<1x4xi8>
  %s = nibble.constant dense<[[0.5, 0.25]]> : tensor<1x2xf32>
  %g = nibble.constant dense<[1, 0, 1, 0]> : tensor<4xi32>
  %y = nibble.matmul %x weight(%w, %s group_index %g) {n = 1 : i64, k = 4 : i64, scheme = #nibble.scheme<int8, group = 2, scale = f32, group_index, packing = rows>} : (tensor<?x4xf32>, tensor<1x4xi8>, tensor<1x2xf32>, tensor<4xi32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// One column against three: the short group is filled with columns that read
// nothing (-1), the long one is cut in two that share a scale.
// CHECK-LABEL: func.func @ragged
func.func @ragged(%x: tensor<2x4xf32>) -> tensor<2x1xf32> {
  // CHECK-DAG: nibble.constant dense<{{\[\[}}2, {{-?[0-9]+}}, 1, 3, 4, {{-?[0-9]+}}]]> : tensor<1x6xi8>
  // CHECK-DAG: nibble.constant dense<{{\[\[}}5.000000e-01, 2.500000e-01, 2.500000e-01]]> : tensor<1x3xf32>
  // CHECK-DAG: nibble.constant dense<[1, -1, 0, 2, 3, -1]> : tensor<6xi32>
  // CHECK: nibble.matmul {{.*}} {k = 6 : i64
  %w = nibble.constant dense<[[1, 2, 3, 4]]> : tensor<1x4xi8>
  %s = nibble.constant dense<[[0.5, 0.25]]> : tensor<1x2xf32>
  %g = nibble.constant dense<[1, 0, 1, 1]> : tensor<4xi32>
  %y = nibble.matmul %x weight(%w, %s group_index %g) {n = 1 : i64, k = 4 : i64, scheme = #nibble.scheme<int8, group = 2, scale = f32, group_index, packing = rows>} : (tensor<2x4xf32>, tensor<1x4xi8>, tensor<1x2xf32>, tensor<4xi32>) -> tensor<2x1xf32>
  return %y : tensor<2x1xf32>
}
