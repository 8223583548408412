// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// Factors and transpositions in front of the scores.

!q = tensor<?x4x?x8xf32>
!kt = tensor<?x4x8x?xf32>
!s = tensor<?x4x?x?xf32>
!c = tensor<f32>

// CHECK-LABEL: func @divided(
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x4x?x8xf32>, %[[K:[^:]*]]: tensor<?x4x?x8xf32>, %[[V:[^:]*]]: tensor<?x4x?x8xf32>
// CHECK: %[[Y:.*]], %{{.*}}, %{{.*}}, %{{.*}} = onnx.Attention(%[[Q]], %[[K]], %[[V]], %[[N:.*]], %[[N]], %[[N]], %[[N]]) {onnx.name = "attn", scale = 2.500000e-01 : f32}
// CHECK-NEXT: return %[[Y]]
func.func @divided(%q: !q, %k: !q, %v: !q) -> !q {
  %c = onnx.Constant {value = dense<4.0> : !c} : !c
  %kt = onnx.Transpose(%k) {perm = array<i64: 0, 1, 3, 2>} : (!q) -> !kt
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Div(%0, %c) : (!s, !c) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) {onnx.name = "attn"} : (!s, !q) -> !q
  return %3 : !q
}

// Half of it on queries, half on keys, capped; keys come as [b, t, h, d].
// CHECK-LABEL: func @split(
// CHECK: %[[K:.*]] = onnx.Transpose(%{{.*}}) {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x4x8xf32>) -> tensor<?x4x?x8xf32>
// CHECK: onnx.Attention(%{{.*}}, %[[K]], %{{.*}}) {scale = 2.500000e-01 : f32, softcap = 3.000000e+01 : f32}
func.func @split(%q: !q, %k: tensor<?x?x4x8xf32>, %v: !q) -> !q {
  %c = onnx.Constant {value = dense<0.5> : !c} : !c
  %cap = onnx.Constant {value = dense<30.0> : !c} : !c
  %kt = onnx.Transpose(%k) {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x?x4x8xf32>) -> !kt
  %a = onnx.Mul(%q, %c) : (!q, !c) -> !q
  %b = onnx.Mul(%kt, %c) : (!kt, !c) -> !kt
  %0 = onnx.MatMul(%a, %b) : (!q, !kt) -> !s
  %1 = onnx.Div(%0, %cap) : (!s, !c) -> !s
  %2 = onnx.Tanh(%1) : (!s) -> !s
  %3 = onnx.Mul(%2, %cap) : (!s, !c) -> !s
  %4 = onnx.Softmax(%3) : (!s) -> !s
  %5 = onnx.MatMul(%4, %v) : (!s, !q) -> !q
  return %5 : !q
}

// Heads are part of the batch: one head each.
// CHECK-LABEL: func @rank3(
// CHECK: %[[Y:.*]], %{{.*}}, %{{.*}}, %{{.*}} = onnx.Attention({{.*}}) {scale = 1.000000e+00 : f32} : (tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32>, none, none, none, none) -> (tensor<?x1x?x8xf32>, none, none, none)
// CHECK: onnx.Squeeze(%[[Y]], %{{.*}}) : (tensor<?x1x?x8xf32>, tensor<1xi64>) -> tensor<?x?x8xf32>
func.func @rank3(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %kt = onnx.Transpose(%k) {perm = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32>) -> tensor<?x8x?xf32>
  %0 = onnx.MatMul(%q, %kt) : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %1 = onnx.Softmax(%0) : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %2 = onnx.MatMul(%1, %v) : (tensor<?x?x?xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %2 : tensor<?x?x8xf32>
}
