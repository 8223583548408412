// RUN: nibble-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' \
// RUN:   --remarks-filter-missed=fusion --remark-format=emitRemark

// What is nearly attention says what differs.

!q = tensor<2x4x5x8xf32>
!kt = tensor<2x4x8x5xf32>
!s = tensor<2x4x5x5xf32>

func.func @weights_used(%q: !q, %kt: !kt, %v: !q) -> (!q, !s) {
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  // expected-remark@+1 {{attention not fused in layer "weights": the attention weights have other uses}}
  %1 = onnx.Softmax(%0) {onnx.name = "weights"} : (!s) -> !s
  %2 = onnx.MatMul(%1, %v) : (!s, !q) -> !q
  return %2, %1 : !q, !s
}

// -----

!q = tensor<2x4x5x8xf32>
!kt = tensor<2x4x8x5xf32>
!s = tensor<2x4x5x5xf32>

func.func @axis(%q: !q, %kt: !kt, %v: !q) -> !q {
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  // expected-remark@+1 {{attention not fused: the softmax is over axis 2, not the last}}
  %1 = onnx.Softmax(%0) {axis = 2 : i64} : (!s) -> !s
  %2 = onnx.MatMul(%1, %v) : (!s, !q) -> !q
  return %2 : !q
}

// -----

!q = tensor<2x4x5x8xf32>
!kt = tensor<2x4x8x5xf32>
!s = tensor<2x4x5x5xf32>

func.func @scaled_late(%q: !q, %kt: !kt, %v: !q, %m: tensor<5x5xf32>) -> !q {
  %c = onnx.Constant {value = dense<0.5> : tensor<f32>} : tensor<f32>
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %m) : (!s, tensor<5x5xf32>) -> !s
  %2 = onnx.Mul(%1, %c) : (!s, tensor<f32>) -> !s
  // expected-remark@+1 {{attention not fused: the scores are scaled or capped after they are masked}}
  %3 = onnx.Softmax(%2) : (!s) -> !s
  %4 = onnx.MatMul(%3, %v) : (!s, !q) -> !q
  return %4 : !q
}

// -----

!q = tensor<2x4x5x8xf32>
!kt = tensor<2x4x8x5xf32>
!s = tensor<2x4x5x5xf32>

func.func @replaced(%q: !q, %kt: !kt, %v: !q, %p: tensor<5x5xi1>) -> !q {
  %c = onnx.Constant {value = dense<-10000.0> : tensor<f32>} : tensor<f32>
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Where(%p, %0, %c) : (tensor<5x5xi1>, !s, tensor<f32>) -> !s
  // expected-remark@+1 {{attention not fused: scores are replaced by -10000.000000, which no mask can do}}
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) : (!s, !q) -> !q
  return %3 : !q
}
