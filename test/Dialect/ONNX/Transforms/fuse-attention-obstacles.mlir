// RUN: nibble-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' \
// RUN:   --remarks-filter-missed=fusion --remark-format=emitRemark

// What stands between the products, and a cache that can't be taken up.

!q = tensor<2x4x5x8xf32>
!kt = tensor<2x4x8x5xf32>
!s = tensor<2x4x5x5xf32>
!p = tensor<2x4x2x8xf32>
!n = tensor<2x4x3x8xf32>

// The product is fused, but its keys and values stay joined.
func.func @cache(%q: !q, %pk: !p, %k: !n, %pv: !p, %v: !n) -> (!q, !q) {
  %ck = onnx.Concat(%pk, %k) {axis = 2 : i64} : (!p, !n) -> !q
  %cv = onnx.Concat(%pv, %v) {axis = 2 : i64} : (!p, !n) -> !q
  %other = onnx.Add(%q, %ck) : (!q, !q) -> !q
  %kt = onnx.Transpose(%ck) {perm = array<i64: 0, 1, 3, 2>} : (!q) -> !kt
  %0 = onnx.MatMul(%other, %kt) : (!q, !kt) -> !s
  %1 = onnx.Softmax(%0) : (!s) -> !s
  // expected-remark@+1 {{key-value cache not fused: the joined keys or values are used before the attention}}
  %2 = onnx.MatMul(%1, %cv) : (!s, !q) -> !q
  return %2, %other : !q, !q
}

// -----

!q = tensor<2x4x5x8xf32>
!kt = tensor<2x4x8x5xf32>
!s = tensor<2x4x5x5xf32>

func.func @obstacle(%q: !q, %kt: !kt, %v: !q, %m: !s) -> !q {
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Sub(%0, %m) : (!s, !s) -> !s
  // expected-remark@+1 {{attention not fused: onnx.Sub between the product and the softmax is not part of it}}
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) : (!s, !q) -> !q
  return %3 : !q
}

// -----

!q = tensor<8x5x8xf32>
!kt = tensor<8x8x5xf32>
!s = tensor<2x4x5x5xf32>
!f = tensor<8x5x5xf32>

func.func @reshaped(%q: !q, %kt: !kt, %v: !q) -> !q {
  %heads = onnx.Constant {value = dense<[2, 4, 5, 5]> : tensor<4xi64>} : tensor<4xi64>
  %flat = onnx.Constant {value = dense<[8, 5, 5]> : tensor<3xi64>} : tensor<3xi64>
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !f
  %1 = onnx.Reshape(%0, %heads) : (!f, tensor<4xi64>) -> !s
  // expected-remark@+1 {{attention not fused: the weights are reshaped before the product with the values}}
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.Reshape(%2, %flat) : (!s, tensor<3xi64>) -> !f
  %4 = onnx.MatMul(%3, %v) : (!f, !q) -> !q
  return %4 : !q
}
