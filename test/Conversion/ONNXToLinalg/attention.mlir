// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Queries that share a head are rows of one product: nothing is repeated.
// The causal mask is shifted by the length of the past.
// CHECK-LABEL: func.func @grouped
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x?x64xf32>
// CHECK: %[[PAST:.*]] = tensor.dim %{{.*}}, %{{.*}} : tensor<?x4x?x8xf32>
// CHECK: %[[TOTAL:.*]] = arith.addi
// CHECK: tensor.insert_slice
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2, 3], [4]]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK: linalg.index 3
// CHECK: linalg.index 4
// CHECK: arith.cmpi sle
// CHECK: math.exp
// CHECK: linalg.batch_matmul
// CHECK: linalg.transpose
func.func @grouped(%q: tensor<?x?x64xf32> {onnx.dim_names = ["b", "s", ""]},
                   %k: tensor<?x?x32xf32> {onnx.dim_names = ["b", "s", ""]},
                   %v: tensor<?x?x32xf32> {onnx.dim_names = ["b", "s", ""]},
                   %pk: tensor<?x4x?x8xf32> {onnx.dim_names = ["b", "", "p", ""]},
                   %pv: tensor<?x4x?x8xf32> {onnx.dim_names = ["b", "", "p", ""]})
    -> (tensor<?x?x64xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) {
  %none = onnx.NoValue : none
  %y:4 = onnx.Attention(%q, %k, %v, %none, %pk, %pv, %none) {q_num_heads = 8 : i64, kv_num_heads = 4 : i64, is_causal = 1 : i64} : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, none, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, none) -> (tensor<?x?x64xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, none)
  return %y#0, %y#1, %y#2 : tensor<?x?x64xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>
}

// -----

// A boolean mask hides; a row that sees nothing is divided by one.
// CHECK-LABEL: func.func @masked
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : f32
// CHECK: arith.cmpf oeq
// CHECK: arith.divf
func.func @masked(%q: tensor<1x2x3x8xf32>, %m: tensor<3x3xi1>) -> tensor<1x2x3x8xf32> {
  %none = onnx.NoValue : none
  %y:4 = onnx.Attention(%q, %q, %q, %m, %none, %none, %none) : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<3x3xi1>, none, none, none) -> (tensor<1x2x3x8xf32>, none, none, none)
  return %y#0 : tensor<1x2x3x8xf32>
}
