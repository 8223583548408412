// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// Texts that are packed into one row start where positions do not grow by one.
// Positions from a Range never do, so that what is left of the mask is causal.

!q = tensor<1x4x?x8xf32>
!kt = tensor<1x4x8x?xf32>
!s = tensor<1x4x?x?xf32>
!i = tensor<i64>
!r = tensor<1x?xi64>
!a = tensor<1xi64>
!m = tensor<?x?xi1>

// CHECK-LABEL: func @main(
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[N:.*]], %[[N]], %[[N]], %[[N]]) {is_causal = 1 : i64, scale
func.func @main(%q: !q {onnx.dim_names = ["", "", "s", ""]}, %kt: !kt {onnx.dim_names = ["", "", "", "s"]},
                %v: !q {onnx.dim_names = ["", "", "s", ""]}) -> !q {
  %zero = onnx.Constant {value = dense<0> : !i} : !i
  %one = onnx.Constant {value = dense<1> : !i} : !i
  %two = onnx.Constant {value = dense<2> : !i} : !i
  %a0 = onnx.Constant {value = dense<0> : !a} : !a
  %a1 = onnx.Constant {value = dense<1> : !a} : !a
  %end = onnx.Constant {value = dense<9223372036854775807> : !a} : !a
  %shape = onnx.Constant {value = dense<[-1, 1]> : tensor<2xi64>} : tensor<2xi64>
  %seen = onnx.Constant {value = dense<0.0> : tensor<f32>} : tensor<f32>
  %hidden = onnx.Constant {value = dense<-3.40282347E+38> : tensor<f32>} : tensor<f32>
  %h = onnx.Shape(%q) : (!q) -> tensor<4xi64>
  %length = onnx.Gather(%h, %two) : (tensor<4xi64>, !i) -> !i
  %range = onnx.Range(%zero, %length, %one) : (!i, !i, !i) -> tensor<?xi64>
  %p = onnx.Unsqueeze(%range, %a0) : (tensor<?xi64>, !a) -> !r
  %first = onnx.Slice(%p, %a0, %a1, %a1, %a1) : (!r, !a, !a, !a, !a) -> tensor<1x1xi64>
  %before = onnx.Sub(%first, %one) : (tensor<1x1xi64>, !i) -> tensor<1x1xi64>
  %joined = onnx.Concat(%before, %p) {axis = -1 : i64} : (tensor<1x1xi64>, !r) -> !r
  %next = onnx.Slice(%joined, %a1, %end, %a1, %a1) : (!r, !a, !a, !a, !a) -> !r
  %l1 = onnx.Unsqueeze(%length, %a0) : (!i, !a) -> !a
  %this = onnx.Slice(%joined, %a0, %l1, %a1, %a1) : (!r, !a, !a, !a, !a) -> !r
  %step = onnx.Sub(%next, %this) : (!r, !r) -> !r
  %same = onnx.Equal(%step, %one) : (!r, !i) -> tensor<1x?xi1>
  %starts = onnx.Not(%same) : (tensor<1x?xi1>) -> tensor<1x?xi1>
  %marks = onnx.Cast(%starts) {to = 7 : i64} : (tensor<1x?xi1>) -> !r
  %texts = onnx.CumSum(%marks, %one) : (!r, !i) -> !r
  %rows = onnx.Reshape(%texts, %shape) : (!r, tensor<2xi64>) -> tensor<?x1xi64>
  %equal = onnx.Equal(%texts, %rows) : (!r, tensor<?x1xi64>) -> !m
  %qp = onnx.Unsqueeze(%range, %a1) : (tensor<?xi64>, !a) -> tensor<?x1xi64>
  %past = onnx.LessOrEqual(%p, %qp) : (!r, tensor<?x1xi64>) -> !m
  %both = onnx.And(%equal, %past) : (!m, !m) -> !m
  %mask = onnx.Where(%both, %seen, %hidden) : (!m, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %mask) : (!s, tensor<?x?xf32>) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) : (!s, !q) -> !q
  return %3 : !q
}
