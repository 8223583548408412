// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-activation))' | FileCheck %s

// Softplus, and Mish on top of it.

!t = tensor<?x8xf32>
!s = tensor<f32>

// CHECK-LABEL: func @softplus(
// CHECK-NEXT: %[[Y:.*]] = onnx.Softplus(%{{.*}}) : (tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @softplus(%x: !t) -> !t {
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %0 = onnx.Exp(%x) : (!t) -> !t
  %1 = onnx.Add(%0, %one) : (!t, !s) -> !t
  %2 = onnx.Log(%1) : (!t) -> !t
  return %2 : !t
}

// CHECK-LABEL: func @mish(
// CHECK-NEXT: %[[Y:.*]] = onnx.Mish(%{{.*}}) : (tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @mish(%x: !t) -> !t {
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %0 = onnx.Exp(%x) : (!t) -> !t
  %1 = onnx.Add(%one, %0) : (!s, !t) -> !t
  %2 = onnx.Log(%1) : (!t) -> !t
  %3 = onnx.Tanh(%2) : (!t) -> !t
  %4 = onnx.Mul(%x, %3) : (!t, !t) -> !t
  return %4 : !t
}
