// RUN: nibble-opt %s --convert-onnx-to-linalg --canonicalize --split-input-file | FileCheck %s

// Queries are read and results written where the projections have them; keys
// come behind those of the past, whose number is the position of query 0.
// CHECK-LABEL: func.func @grouped
// CHECK: %[[PAST:.*]] = tensor.dim %{{.*}}, %{{.*}} : tensor<?x4x?x8xf32>
// CHECK-NOT: math.exp
// CHECK: nibble.attention %{{.*}}, %[[K:.*]], %[[V:.*]] past(%[[PAST]]) {causal, layers = ["attn"], query_by_token, result_by_token}
// CHECK-SAME: (tensor<?x?x8x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, index) -> tensor<?x?x8x8xf32>
// CHECK-NOT: linalg.transpose
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0], [1], [2, 3]]
// CHECK: return %{{.*}}, %[[K]], %[[V]]
func.func @grouped(%q: tensor<?x?x64xf32> {onnx.dim_names = ["b", "s", ""]},
                   %k: tensor<?x?x32xf32> {onnx.dim_names = ["b", "s", ""]},
                   %v: tensor<?x?x32xf32> {onnx.dim_names = ["b", "s", ""]},
                   %pk: tensor<?x4x?x8xf32> {onnx.dim_names = ["b", "", "p", ""]},
                   %pv: tensor<?x4x?x8xf32> {onnx.dim_names = ["b", "", "p", ""]})
    -> (tensor<?x?x64xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) {
  %none = onnx.NoValue : none
  %y:4 = onnx.Attention(%q, %k, %v, %none, %pk, %pv, %none) {q_num_heads = 8 : i64, kv_num_heads = 4 : i64, is_causal = 1 : i64, onnx.name = "attn"} : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, none, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, none) -> (tensor<?x?x64xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, none)
  return %y#0, %y#1, %y#2 : tensor<?x?x64xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>
}

// -----

// Without a past the keys and values are not moved either.
// CHECK-LABEL: func.func @encoder
// CHECK-NOT: linalg
// CHECK: nibble.attention {{.*}} {key_by_token, layers = ["onnx.Attention"], query_by_token, result_by_token, value_by_token}
// CHECK-NOT: linalg
// CHECK: return
func.func @encoder(%q: tensor<1x?x32xf32>, %k: tensor<1x?x32xf32>, %v: tensor<1x?x32xf32>) -> tensor<1x?x32xf32> {
  %none = onnx.NoValue : none
  %y:4 = onnx.Attention(%q, %k, %v, %none, %none, %none, %none) {q_num_heads = 4 : i64, kv_num_heads = 4 : i64} : (tensor<1x?x32xf32>, tensor<1x?x32xf32>, tensor<1x?x32xf32>, none, none, none, none) -> (tensor<1x?x32xf32>, none, none, none)
  return %y#0 : tensor<1x?x32xf32>
}

// -----

// Lengths give the positions; windows, scale and softcap are attributes.
// CHECK-LABEL: func.func @windows
// CHECK: nibble.attention {{.*}} lengths(%{{.*}}) {layers = {{.*}}, left_window = 16 : i64, right_window = 2 : i64, scale = 5.000000e-01 : f64, softcap = 3.000000e+01 : f64}
func.func @windows(%q: tensor<2x4x?x8xf16>, %k: tensor<2x2x64x8xf16>, %n: tensor<2xi64>) -> tensor<2x4x?x8xf16> {
  %none = onnx.NoValue : none
  %y:4 = onnx.Attention(%q, %k, %k, %none, %none, %none, %n) {left_window_size = 16 : i64, right_window_size = 2 : i64, scale = 0.5 : f32, softcap = 30.0 : f32} : (tensor<2x4x?x8xf16>, tensor<2x2x64x8xf16>, tensor<2x2x64x8xf16>, none, none, none, tensor<2xi64>) -> (tensor<2x4x?x8xf16>, none, none, none)
  return %y#0 : tensor<2x4x?x8xf16>
}
