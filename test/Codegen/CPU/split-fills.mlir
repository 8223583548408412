// RUN: nibble-opt %s --nibble-split-fills | FileCheck %s

// Each product gets zeros of its own.

// CHECK-LABEL: func.func @two
func.func @two(%x: tensor<8x6xf32>, %v: tensor<6x4xf32>, %w: tensor<6x4xf32>) -> (tensor<2x4x4xf32>, tensor<2x4x4xf32>) {
  // CHECK: %[[Z:.+]] = linalg.fill
  // CHECK: linalg.generic {{.*}} outs(%[[Z]]
  // CHECK: %[[A:.+]] = tensor.empty() : tensor<8x4xf32>
  // CHECK: %[[B:.+]] = tensor.expand_shape %[[A]]
  // CHECK: %[[Y:.+]] = linalg.fill {{.*}} outs(%[[B]]
  // CHECK: linalg.generic {{.*}} outs(%[[Y]]
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x4xf32>
  %s = tensor.expand_shape %e [[0, 1], [2]] output_shape [2, 4, 4] : tensor<8x4xf32> into tensor<2x4x4xf32>
  %z = linalg.fill ins(%zero : f32) outs(%s : tensor<2x4x4xf32>) -> tensor<2x4x4xf32>
  %u = tensor.expand_shape %x [[0, 1], [2]] output_shape [2, 4, 6] : tensor<8x6xf32> into tensor<2x4x6xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(a, b, c, k) -> (a, b, k)>, affine_map<(a, b, c, k) -> (k, c)>, affine_map<(a, b, c, k) -> (a, b, c)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%u, %v : tensor<2x4x6xf32>, tensor<6x4xf32>) outs(%z : tensor<2x4x4xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %m = arith.mulf %i, %j : f32
    %y = arith.addf %o, %m : f32
    linalg.yield %y : f32
  } -> tensor<2x4x4xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(a, b, c, k) -> (a, b, k)>, affine_map<(a, b, c, k) -> (k, c)>, affine_map<(a, b, c, k) -> (a, b, c)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%u, %w : tensor<2x4x6xf32>, tensor<6x4xf32>) outs(%z : tensor<2x4x4xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %m = arith.mulf %i, %j : f32
    %y = arith.addf %o, %m : f32
    linalg.yield %y : f32
  } -> tensor<2x4x4xf32>
  return %0, %1 : tensor<2x4x4xf32>, tensor<2x4x4xf32>
}
