// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-normalization))' | FileCheck %s

// Half precision that is normalized in float32.

!x = tensor<?x8xf16>
!f = tensor<?x8xf32>
!m = tensor<?x1xf32>
!s = tensor<f32>

// The casts are what stash_type 1, the default, says.
// CHECK-LABEL: func @around(
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf16>, %[[W:.*]]: tensor<8xf16>
// CHECK-NEXT: %[[Y:.*]] = onnx.RMSNormalization(%[[X]], %[[W]]) : (tensor<?x8xf16>, tensor<8xf16>) -> tensor<?x8xf16>
// CHECK-NEXT: return %[[Y]]
func.func @around(%x: !x, %w: tensor<8xf16>) -> !x {
  %eps = onnx.Constant {value = dense<1.0e-5> : !s} : !s
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %c = onnx.Cast(%x) {to = 1 : i64} : (!x) -> !f
  %0 = onnx.Mul(%c, %c) : (!f, !f) -> !f
  %1 = onnx.ReduceMean(%0, %last) : (!f, tensor<1xi64>) -> !m
  %2 = onnx.Add(%1, %eps) : (!m, !s) -> !m
  %3 = onnx.Sqrt(%2) : (!m) -> !m
  %4 = onnx.Div(%c, %3) : (!f, !m) -> !f
  %5 = onnx.Cast(%4) {to = 10 : i64} : (!f) -> !x
  %6 = onnx.Mul(%w, %5) : (tensor<8xf16>, !x) -> !x
  return %6 : !x
}

// All in half precision: so is the mean.
// CHECK-LABEL: func @narrow(
// CHECK: onnx.RMSNormalization(%{{.*}}) {epsilon = {{.*}}, stash_type = 10 : i64}
func.func @narrow(%x: !x, %w: tensor<8xf16>) -> !x {
  %eps = onnx.Constant {value = dense<1.001360e-05> : tensor<f16>} : tensor<f16>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.Mul(%x, %x) : (!x, !x) -> !x
  %1 = onnx.ReduceMean(%0, %last) : (!x, tensor<1xi64>) -> tensor<?x1xf16>
  %2 = onnx.Add(%1, %eps) : (tensor<?x1xf16>, tensor<f16>) -> tensor<?x1xf16>
  %3 = onnx.Sqrt(%2) : (tensor<?x1xf16>) -> tensor<?x1xf16>
  %4 = onnx.Div(%x, %3) : (!x, tensor<?x1xf16>) -> !x
  %5 = onnx.Mul(%4, %w) : (!x, tensor<8xf16>) -> !x
  return %5 : !x
}
