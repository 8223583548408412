// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// A model that asks for the scores gets them as a tensor. Queries that share a
// head are rows of one product: nothing is repeated. The causal mask is shifted
// by the length of the past.
// CHECK-LABEL: func.func @grouped
// CHECK-NOT: nibble.attention
// CHECK: nibble.append_cache
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2, 3], [4]]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK: linalg.index 3
// CHECK: linalg.index 4
// CHECK: arith.cmpi sle
// CHECK: math.exp
// CHECK: linalg.batch_matmul
func.func @grouped(%q: tensor<1x8x?x8xf32>, %k: tensor<1x4x?x8xf32>, %pk: tensor<1x4x?x8xf32>)
    -> (tensor<1x8x?x8xf32>, tensor<1x8x?x?xf32>) {
  %none = onnx.NoValue : none
  %y:4 = onnx.Attention(%q, %k, %k, %none, %pk, %pk, %none) {is_causal = 1 : i64} : (tensor<1x8x?x8xf32>, tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32>, none, tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32>, none) -> (tensor<1x8x?x8xf32>, none, none, tensor<1x8x?x?xf32>)
  return %y#0, %y#3 : tensor<1x8x?x8xf32>, tensor<1x8x?x?xf32>
}

// -----

// A boolean mask hides; a row that sees nothing is divided by one.
// CHECK-LABEL: func.func @masked
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : f32
// CHECK: arith.cmpf oeq
// CHECK: arith.divf
func.func @masked(%q: tensor<1x2x3x8xf32>, %m: tensor<3x3xi1>) -> tensor<1x2x3x3xf32> {
  %none = onnx.NoValue : none
  %y:4 = onnx.Attention(%q, %q, %q, %m, %none, %none, %none) {qk_matmul_output_mode = 3 : i64} : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<3x3xi1>, none, none, none) -> (tensor<1x2x3x8xf32>, none, none, tensor<1x2x3x3xf32>)
  return %y#3 : tensor<1x2x3x3xf32>
}
