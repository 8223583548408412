// RUN: nibble-opt %s --nibble-annotate-blocks | FileCheck %s

// The residual stream alone is live between two blocks. Layers that read one
// activation are a stage. The embedding belongs to no block, and the mask, made
// of an input alone, is read in both without being carried.
// CHECK-LABEL: func.func @decoder(
func.func @decoder(%ids: tensor<4xi64>, %mask: tensor<4x6xf32>, %e: tensor<9x6xf32>) -> tensor<4x6xf32> {
  %w = nibble.constant dense<1.0> : tensor<6x6xf32>
  %init = tensor.empty() : tensor<4x6xf32>
  %table = nibble.constant dense<2.0> : tensor<9x6xf32>
  %m = linalg.exp ins(%mask : tensor<4x6xf32>) outs(%init : tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: nibble.gather
  // CHECK-NOT: nibble.block
  // CHECK-SAME: ->
  %x = nibble.gather %ids weight(%table) {rows = 9 : i64, width = 6 : i64, layers = ["embed"]} : (tensor<4xi64>, tensor<9x6xf32>) -> tensor<4x6xf32>
  // CHECK: layers = ["q0"], n = 6 : i64, nibble.block = 0 : i64, nibble.stage = 0 : i64
  %q = nibble.matmul %x weight(%w) {n = 6 : i64, k = 6 : i64, layers = ["q0"]} : (tensor<4x6xf32>, tensor<6x6xf32>) -> tensor<4x6xf32>
  // CHECK: layers = ["v0"], n = 6 : i64, nibble.block = 0 : i64, nibble.stage = 0 : i64
  %v = nibble.matmul %x weight(%w) {n = 6 : i64, k = 6 : i64, layers = ["v0"]} : (tensor<4x6xf32>, tensor<6x6xf32>) -> tensor<4x6xf32>
  %a = linalg.mul ins(%q, %m : tensor<4x6xf32>, tensor<4x6xf32>) outs(%init : tensor<4x6xf32>) -> tensor<4x6xf32>
  %b = linalg.add ins(%a, %v : tensor<4x6xf32>, tensor<4x6xf32>) outs(%init : tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: layers = ["o0"], n = 6 : i64, nibble.block = 0 : i64, nibble.stage = 1 : i64
  %y = nibble.matmul %b weight(%w) residual(%x) {n = 6 : i64, k = 6 : i64, layers = ["o0"]} : (tensor<4x6xf32>, tensor<6x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: layers = ["q1"], n = 6 : i64, nibble.block = 1 : i64, nibble.stage = 2 : i64
  %q1 = nibble.matmul %y weight(%w) {n = 6 : i64, k = 6 : i64, layers = ["q1"]} : (tensor<4x6xf32>, tensor<6x6xf32>) -> tensor<4x6xf32>
  %a1 = linalg.mul ins(%q1, %m : tensor<4x6xf32>, tensor<4x6xf32>) outs(%init : tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: layers = ["o1"], n = 6 : i64, nibble.block = 1 : i64, nibble.stage = 3 : i64
  %z = nibble.matmul %a1 weight(%w) residual(%y) {n = 6 : i64, k = 6 : i64, layers = ["o1"]} : (tensor<4x6xf32>, tensor<6x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  return %z : tensor<4x6xf32>
}
