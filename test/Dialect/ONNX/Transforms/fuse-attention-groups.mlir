// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// Heads of keys and values are not repeated: the operator shares them.

!q = tensor<2x4x5x8xf32>
!kv = tensor<2x2x5x8xf32>
!u = tensor<2x2x1x5x8xf32>
!e = tensor<2x2x2x5x8xf32>
!kt = tensor<2x4x8x5xf32>
!s = tensor<2x4x5x5xf32>

// CHECK-LABEL: func @repeated(
// CHECK-SAME: %[[Q:[^:]*]]: tensor<2x4x5x8xf32>, %[[K:[^:]*]]: tensor<2x2x5x8xf32>, %[[V:[^:]*]]: tensor<2x2x5x8xf32>
// CHECK-NOT: onnx.Expand
// CHECK: onnx.Attention(%[[Q]], %[[K]], %[[V]], %{{.*}}) {{.*}} : (tensor<2x4x5x8xf32>, tensor<2x2x5x8xf32>, tensor<2x2x5x8xf32>,
func.func @repeated(%q: !q, %k: !kv, %v: !kv) -> !q {
  %axis = onnx.Constant {value = dense<2> : tensor<1xi64>} : tensor<1xi64>
  %wide = onnx.Constant {value = dense<[2, 2, 2, 5, 8]> : tensor<5xi64>} : tensor<5xi64>
  %flat = onnx.Constant {value = dense<[2, 4, 5, 8]> : tensor<4xi64>} : tensor<4xi64>
  %k0 = onnx.Unsqueeze(%k, %axis) : (!kv, tensor<1xi64>) -> !u
  %k1 = onnx.Expand(%k0, %wide) : (!u, tensor<5xi64>) -> !e
  %k2 = onnx.Reshape(%k1, %flat) : (!e, tensor<4xi64>) -> !q
  %v0 = onnx.Unsqueeze(%v, %axis) : (!kv, tensor<1xi64>) -> !u
  %v1 = onnx.Expand(%v0, %wide) : (!u, tensor<5xi64>) -> !e
  %v2 = onnx.Reshape(%v1, %flat) : (!e, tensor<4xi64>) -> !q
  %kt = onnx.Transpose(%k2) {perm = array<i64: 0, 1, 3, 2>} : (!q) -> !kt
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Softmax(%0) : (!s) -> !s
  %2 = onnx.MatMul(%1, %v2) : (!s, !q) -> !q
  return %2 : !q
}

// Another order of heads (h0, h1, h0, h1) is none that the operator has.
// CHECK-LABEL: func @tiled(
// CHECK: %[[K:.*]] = onnx.Reshape(
// CHECK: %[[V:.*]] = onnx.Reshape(
// CHECK: onnx.Attention(%{{.*}}, %[[K]], %[[V]], %{{.*}}) {{.*}} : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>,
func.func @tiled(%q: !q, %k: !kv, %v: !kv) -> !q {
  %axis = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %wide = onnx.Constant {value = dense<[2, 2, 2, 5, 8]> : tensor<5xi64>} : tensor<5xi64>
  %flat = onnx.Constant {value = dense<[2, 4, 5, 8]> : tensor<4xi64>} : tensor<4xi64>
  %k0 = onnx.Unsqueeze(%k, %axis) : (!kv, tensor<1xi64>) -> tensor<2x1x2x5x8xf32>
  %k1 = onnx.Expand(%k0, %wide) : (tensor<2x1x2x5x8xf32>, tensor<5xi64>) -> !e
  %k2 = onnx.Reshape(%k1, %flat) : (!e, tensor<4xi64>) -> !q
  %v0 = onnx.Unsqueeze(%v, %axis) : (!kv, tensor<1xi64>) -> tensor<2x1x2x5x8xf32>
  %v1 = onnx.Expand(%v0, %wide) : (tensor<2x1x2x5x8xf32>, tensor<5xi64>) -> !e
  %v2 = onnx.Reshape(%v1, %flat) : (!e, tensor<4xi64>) -> !q
  %kt = onnx.Transpose(%k2) {perm = array<i64: 0, 1, 3, 2>} : (!q) -> !kt
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Softmax(%0) : (!s) -> !s
  %2 = onnx.MatMul(%1, %v2) : (!s, !q) -> !q
  return %2 : !q
}
