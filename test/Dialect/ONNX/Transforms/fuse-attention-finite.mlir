// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// Causal and padding with the lowest finite number: a query before the first
// key that is not padding sees none, and has equal weights for all. Only the
// mask as it is gives that.

!q = tensor<2x4x5x8xf32>
!kt = tensor<2x4x8x5xf32>
!s = tensor<2x4x5x5xf32>
!p = tensor<2x1x1x5xf32>
!m = tensor<5x5xf32>

// CHECK-LABEL: func @added_twice(
// CHECK-SAME: %[[PAD:[^:]*]]: tensor<2x1x1x5xf32>)
// CHECK: %[[CAUSAL:.*]] = onnx.Trilu(
// CHECK: %[[M:.*]] = onnx.Add(%[[PAD]], %[[CAUSAL]])
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[M]], %{{.*}}) {scale
func.func @added_twice(%q: !q, %kt: !kt, %v: !q, %pad: !p) -> !q {
  %shape = onnx.Constant {value = dense<5> : tensor<2xi64>} : tensor<2xi64>
  %one = onnx.Constant {value = dense<1> : tensor<i64>} : tensor<i64>
  %all = onnx.ConstantOfShape(%shape) {value = dense<-3.40282347E+38> : tensor<1xf32>} : (tensor<2xi64>) -> !m
  %m = onnx.Trilu(%all, %one) : (!m, tensor<i64>) -> !m
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %m) : (!s, !m) -> !s
  %2 = onnx.Add(%1, %pad) : (!s, !p) -> !s
  %3 = onnx.Softmax(%2) : (!s) -> !s
  %4 = onnx.MatMul(%3, %v) : (!s, !q) -> !q
  return %4 : !q
}

// With -infinity it makes no difference where it is said.
// CHECK-LABEL: func @infinite(
// CHECK-SAME: %[[PAD:[^:]*]]: tensor<2x1x1x5xf32>)
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[PAD]], %{{.*}}) {is_causal = 1 : i64, scale
func.func @infinite(%q: !q, %kt: !kt, %v: !q, %pad: !p) -> !q {
  %shape = onnx.Constant {value = dense<5> : tensor<2xi64>} : tensor<2xi64>
  %one = onnx.Constant {value = dense<1> : tensor<i64>} : tensor<i64>
  %all = onnx.ConstantOfShape(%shape) {value = dense<0xFF800000> : tensor<1xf32>} : (tensor<2xi64>) -> !m
  %m = onnx.Trilu(%all, %one) : (!m, tensor<i64>) -> !m
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %m) : (!s, !m) -> !s
  %2 = onnx.Add(%1, %pad) : (!s, !p) -> !s
  %3 = onnx.Softmax(%2) : (!s) -> !s
  %4 = onnx.MatMul(%3, %v) : (!s, !q) -> !q
  return %4 : !q
}
