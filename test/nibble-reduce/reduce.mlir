// RUN: nibble-reduce %s -reduction-tree='traversal-mode=0 test=%S/Inputs/has-gather.sh' | FileCheck %s

// What the test script does not need is gone: the product is, the gather stays.

// CHECK-NOT: nibble.matmul
//     CHECK: nibble.gather
// CHECK-NOT: nibble.matmul
func.func @product(%x: tensor<2x4xf32>, %w: tensor<4x3xf32>) -> tensor<2x3xf32> {
  %y = nibble.matmul %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

func.func @rows(%i: tensor<2xi64>, %t: tensor<5x4xf32>) -> tensor<2x4xf32> {
  %y = nibble.gather %i weight(%t) {rows = 5 : i64, width = 4 : i64} : (tensor<2xi64>, tensor<5x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
