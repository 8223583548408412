// RUN: nibble-opt %s -canonicalize | FileCheck %s

#column = affine_map<(b, h, i, j) -> (b, j)>
#same = affine_map<(b, h, i, j) -> (b, h, i, j)>
#rows = affine_map<(b, h, i, j) -> (b, 0, i, 0)>

// A padding mask [B, T] stays that small.
// CHECK-LABEL: func.func @padding(
// CHECK-SAME: %[[M:[^:]+]]: tensor<?x?xi1>
// CHECK-NOT: linalg.generic
// CHECK: %[[SMALL:.+]] = tensor.expand_shape %[[M]] {{\[\[}}0], [1, 2, 3]] {{.*}} into tensor<?x1x1x?xi1>
// CHECK: nibble.attention {{.+}} mask(%[[SMALL]])
func.func @padding(%q: tensor<?x4x?x8xf32>, %m: tensor<?x?xi1>, %init: tensor<?x4x?x?xi1>) -> tensor<?x4x?x8xf32> {
  %big = linalg.generic {indexing_maps = [#column, #same], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
    ins(%m : tensor<?x?xi1>) outs(%init : tensor<?x4x?x?xi1>) {
  ^bb0(%in: i1, %out: i1):
    linalg.yield %in : i1
  } -> tensor<?x4x?x?xi1>
  %y = nibble.attention %q, %q, %q mask(%big) : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x?xi1>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}

// One column that is repeated for an unknown number of keys may be fewer keys
// than there are: it stays.
// CHECK-LABEL: func.func @one_column(
// CHECK: linalg.generic
func.func @one_column(%q: tensor<?x4x?x8xf32>, %m: tensor<?x1x?x1xf32>, %init: tensor<?x4x?x?xf32>) -> tensor<?x4x?x8xf32> {
  %big = linalg.generic {indexing_maps = [#rows, #same], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
    ins(%m : tensor<?x1x?x1xf32>) outs(%init : tensor<?x4x?x?xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<?x4x?x?xf32>
  %y = nibble.attention %q, %q, %q mask(%big) : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x?xf32>) -> tensor<?x4x?x8xf32>
  return %y : tensor<?x4x?x8xf32>
}
