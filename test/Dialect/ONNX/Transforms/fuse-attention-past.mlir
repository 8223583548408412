// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// Keys and values of the past, and a causal mask from Range whose queries start
// after them. Sizes of the present ones come from the parts.

!q = tensor<?x4x?x8xf32>
!kt = tensor<?x4x8x?xf32>
!s = tensor<?x4x?x?xf32>
!i = tensor<i64>
!n = tensor<?xi64>

// CHECK-LABEL: func @main(
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x4x?x8xf32> {{{[^}]*}}}, %[[K:[^:]*]]: tensor<?x4x?x8xf32> {{{[^}]*}}}, %[[V:[^:]*]]: tensor<?x4x?x8xf32> {{{[^}]*}}}, %[[PK:[^:]*]]: tensor<?x4x?x8xf32> {{{[^}]*}}}, %[[PV:[^:]*]]: tensor
// CHECK: %[[NONE:.*]] = onnx.NoValue
// CHECK-NEXT: %[[Y:.*]], %[[NK:.*]], %[[NV:.*]], %{{.*}} = onnx.Attention(%[[Q]], %[[K]], %[[V]], %[[NONE]], %[[PK]], %[[PV]], %[[NONE]]) {is_causal = 1 : i64, scale = 1.000000e+00 : f32}
// CHECK-NEXT: return %[[Y]], %[[NK]], %[[NV]]
func.func @main(%q: !q {onnx.dim_names = ["b", "", "s", ""]}, %k: !q {onnx.dim_names = ["b", "", "s", ""]},
                %v: !q {onnx.dim_names = ["b", "", "s", ""]}, %pk: !q {onnx.dim_names = ["b", "", "p", ""]},
                %pv: !q {onnx.dim_names = ["b", "", "p", ""]}) -> (!q, !q, !q) {
  %zero = onnx.Constant {value = dense<0> : !i} : !i
  %one = onnx.Constant {value = dense<1> : !i} : !i
  %two = onnx.Constant {value = dense<2> : !i} : !i
  %axis = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %visible = onnx.Constant {value = dense<0.0> : tensor<f32>} : tensor<f32>
  %hidden = onnx.Constant {value = dense<-3.40282347E+38> : tensor<f32>} : tensor<f32>
  %ck = onnx.Concat(%pk, %k) {axis = -2 : i64} : (!q, !q) -> !q
  %cv = onnx.Concat(%pv, %v) {axis = -2 : i64} : (!q, !q) -> !q
  %h0 = onnx.Shape(%ck) : (!q) -> tensor<4xi64>
  %total = onnx.Gather(%h0, %two) : (tensor<4xi64>, !i) -> !i
  %h1 = onnx.Shape(%q) : (!q) -> tensor<4xi64>
  %length = onnx.Gather(%h1, %two) : (tensor<4xi64>, !i) -> !i
  %before = onnx.Sub(%total, %length) : (!i, !i) -> !i
  %r0 = onnx.Range(%zero, %length, %one) : (!i, !i, !i) -> !n
  %r1 = onnx.Add(%r0, %before) : (!n, !i) -> !n
  %r2 = onnx.Unsqueeze(%r1, %axis) : (!n, tensor<1xi64>) -> tensor<?x1xi64>
  %keys = onnx.Range(%zero, %total, %one) : (!i, !i, !i) -> !n
  %late = onnx.Greater(%keys, %r2) : (!n, tensor<?x1xi64>) -> tensor<?x?xi1>
  %m = onnx.Where(%late, %hidden, %visible) : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %kt = onnx.Transpose(%ck) {perm = array<i64: 0, 1, 3, 2>} : (!q) -> !kt
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %m) : (!s, tensor<?x?xf32>) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %cv) : (!s, !q) -> !q
  return %3, %ck, %cv : !q, !q, !q
}
