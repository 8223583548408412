// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// A conjunction that hides by -infinity: what is causal and what is a window
// are attributes, the padding alone stays a mask.

!q = tensor<?x4x?x8xf32>
!kt = tensor<?x4x8x?xf32>
!s = tensor<?x4x?x?xf32>
!i = tensor<i64>
!n = tensor<?xi64>
!m = tensor<?x?xi1>

// CHECK-LABEL: func @main(
// CHECK-SAME: %[[PAD:[^:]*]]: tensor<?x1x1x?xi1> {{{[^}]*}}}) ->
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[PAD]], %{{.*}}) {is_causal = 1 : i64, left_window_size = 2 : i64, scale
func.func @main(%q: !q {onnx.dim_names = ["b", "", "s", ""]}, %kt: !kt {onnx.dim_names = ["b", "", "", "s"]},
                %v: !q {onnx.dim_names = ["b", "", "s", ""]}, %pad: tensor<?x1x1x?xi1> {onnx.dim_names = ["b", "", "", "s"]}) -> !q {
  %zero = onnx.Constant {value = dense<0> : !i} : !i
  %one = onnx.Constant {value = dense<1> : !i} : !i
  %two = onnx.Constant {value = dense<2> : !i} : !i
  %width = onnx.Constant {value = dense<3> : !i} : !i
  %axis = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %seen = onnx.Constant {value = dense<0.0> : tensor<f32>} : tensor<f32>
  %hidden = onnx.Constant {value = dense<0xFF800000> : tensor<f32>} : tensor<f32>
  %h = onnx.Shape(%q) : (!q) -> tensor<4xi64>
  %length = onnx.Gather(%h, %two) : (tensor<4xi64>, !i) -> !i
  %j = onnx.Range(%zero, %length, %one) : (!i, !i, !i) -> !n
  %i = onnx.Unsqueeze(%j, %axis) : (!n, tensor<1xi64>) -> tensor<?x1xi64>
  %past = onnx.LessOrEqual(%j, %i) : (!n, tensor<?x1xi64>) -> !m
  %edge = onnx.Sub(%i, %width) : (tensor<?x1xi64>, !i) -> tensor<?x1xi64>
  %near = onnx.Greater(%j, %edge) : (!n, tensor<?x1xi64>) -> !m
  %c0 = onnx.And(%past, %near) : (!m, !m) -> !m
  %c1 = onnx.And(%c0, %pad) : (!m, tensor<?x1x1x?xi1>) -> tensor<?x1x?x?xi1>
  %mask = onnx.Where(%c1, %seen, %hidden) : (tensor<?x1x?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x1x?x?xf32>
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %mask) : (!s, tensor<?x1x?x?xf32>) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) : (!s, !q) -> !q
  return %3 : !q
}
