// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// Heads that are transposed on the way in and back on the way out give the
// operator of rank 3, with the rotary embedding between.

!x = tensor<?x?x32xf32>
!h = tensor<?x?x4x8xf32>
!q = tensor<?x4x?x8xf32>
!kt = tensor<?x4x8x?xf32>
!s = tensor<?x4x?x?xf32>
!c = tensor<?x?x4xf32>
!i = tensor<4xi64>

// CHECK-LABEL: func @main(
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x?x32xf32>, %[[K:[^:]*]]: tensor<?x?x32xf32>, %[[V:[^:]*]]: tensor<?x?x32xf32>, %[[C:[^:]*]]: tensor
// CHECK-NOT: onnx.Transpose
// CHECK: %[[RQ:.*]] = onnx.RotaryEmbedding(%[[Q]], %[[C]], %[[C]], %{{.*}}) {num_heads = 4 : i64} : (tensor<?x?x32xf32>
// CHECK: %[[Y:.*]], %{{.*}}, %{{.*}}, %{{.*}} = onnx.Attention(%[[RQ]], %[[K]], %[[V]], %{{.*}}) {kv_num_heads = 4 : i64, q_num_heads = 4 : i64, scale = 1.000000e+00 : f32}
// CHECK-NOT: onnx.Transpose
// CHECK: return %[[Y]]
func.func @main(%q: !x, %k: !x, %v: !x, %c: !c) -> !x {
  %none = onnx.NoValue : none
  %shape = onnx.Constant {value = dense<[0, 0, 4, 8]> : !i} : !i
  %flat = onnx.Constant {value = dense<[0, 0, 32]> : tensor<3xi64>} : tensor<3xi64>
  %q0 = onnx.Reshape(%q, %shape) : (!x, !i) -> !h
  %q1 = onnx.Transpose(%q0) {perm = array<i64: 0, 2, 1, 3>} : (!h) -> !q
  %q2 = onnx.RotaryEmbedding(%q1, %c, %c, %none) : (!q, !c, !c, none) -> !q
  %k0 = onnx.Reshape(%k, %shape) : (!x, !i) -> !h
  %k1 = onnx.Transpose(%k0) {perm = array<i64: 0, 2, 3, 1>} : (!h) -> !kt
  %v0 = onnx.Reshape(%v, %shape) : (!x, !i) -> !h
  %v1 = onnx.Transpose(%v0) {perm = array<i64: 0, 2, 1, 3>} : (!h) -> !q
  %0 = onnx.MatMul(%q2, %k1) : (!q, !kt) -> !s
  %1 = onnx.Softmax(%0) : (!s) -> !s
  %2 = onnx.MatMul(%1, %v1) : (!s, !q) -> !q
  %3 = onnx.Transpose(%2) {perm = array<i64: 0, 2, 1, 3>} : (!q) -> !h
  %4 = onnx.Reshape(%3, %flat) : (!h, tensor<3xi64>) -> !x
  return %4 : !x
}

// Heads that are parts of a wider tensor, and normalized one by one: what is
// transposed is flattened.
// CHECK-LABEL: func @normalized(
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x?x4x24xf32>, %[[W:[^:]*]]: tensor<8xf32>
// CHECK: %[[P:.*]]:3 = onnx.Split(%[[X]],
// CHECK-DAG: %[[N:.*]] = onnx.RMSNormalization(%[[P]]#0, %[[W]]) : (tensor<?x?x4x8xf32>, tensor<8xf32>) -> tensor<?x?x4x8xf32>
// CHECK-DAG: %[[Q:.*]] = onnx.Reshape(%[[N]], %{{.*}}) : (tensor<?x?x4x8xf32>, tensor<3xi64>) -> tensor<?x?x32xf32>
// CHECK-DAG: %[[K:.*]] = onnx.Reshape(%[[P]]#1, %{{.*}})
// CHECK: %[[Y:.*]], %{{.*}}, %{{.*}}, %{{.*}} = onnx.Attention(%[[Q]], %[[K]], %{{.*}}) {kv_num_heads = 4 : i64, q_num_heads = 4 : i64
// CHECK: onnx.Reshape(%[[Y]], %{{.*}}) : (tensor<?x?x32xf32>, tensor<4xi64>) -> tensor<?x?x4x8xf32>
func.func @normalized(%x: tensor<?x?x4x24xf32>, %w: tensor<8xf32>) -> !h {
  %thirds = onnx.Constant {value = dense<8> : tensor<3xi64>} : tensor<3xi64>
  %q, %k, %v = onnx.Split(%x, %thirds) {axis = 3 : i64} : (tensor<?x?x4x24xf32>, tensor<3xi64>) -> (!h, !h, !h)
  %q1 = onnx.Transpose(%q) {perm = array<i64: 0, 2, 1, 3>} : (!h) -> !q
  %q2 = onnx.RMSNormalization(%q1, %w) : (!q, tensor<8xf32>) -> !q
  %k1 = onnx.Transpose(%k) {perm = array<i64: 0, 2, 3, 1>} : (!h) -> !kt
  %v1 = onnx.Transpose(%v) {perm = array<i64: 0, 2, 1, 3>} : (!h) -> !q
  %0 = onnx.MatMul(%q2, %k1) : (!q, !kt) -> !s
  %1 = onnx.Softmax(%0) : (!s) -> !s
  %2 = onnx.MatMul(%1, %v1) : (!s, !q) -> !q
  %3 = onnx.Transpose(%2) {perm = array<i64: 0, 2, 1, 3>} : (!q) -> !h
  return %3 : !h
}
