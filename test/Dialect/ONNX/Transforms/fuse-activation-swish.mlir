// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-activation))' | FileCheck %s

// x * sigmoid(alpha x); a Sigmoid that gates something else stays.

!t = tensor<?x8xf32>
!s = tensor<f32>

// CHECK-LABEL: func @silu(
// CHECK-NEXT: %[[Y:.*]] = onnx.Swish(%{{.*}}) : (tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @silu(%x: !t) -> !t {
  %0 = onnx.Sigmoid(%x) : (!t) -> !t
  %1 = onnx.Mul(%0, %x) : (!t, !t) -> !t
  return %1 : !t
}

// CHECK-LABEL: func @quick_gelu(
// CHECK-NEXT: onnx.Swish(%{{.*}}) {alpha = 1.702000e+00 : f32}
func.func @quick_gelu(%x: !t) -> !t {
  %c = onnx.Constant {value = dense<1.702> : !s} : !s
  %0 = onnx.Mul(%x, %c) : (!t, !s) -> !t
  %1 = onnx.Sigmoid(%0) : (!t) -> !t
  %2 = onnx.Mul(%x, %1) : (!t, !t) -> !t
  return %2 : !t
}

// CHECK-LABEL: func @gate(
// CHECK-NEXT: onnx.Sigmoid
// CHECK-NEXT: onnx.Mul
func.func @gate(%x: !t, %z: !t) -> !t {
  %0 = onnx.Sigmoid(%x) : (!t) -> !t
  %1 = onnx.Mul(%0, %z) : (!t, !t) -> !t
  return %1 : !t
}

// The Sigmoid is an output of its own.
// CHECK-LABEL: func @used(
// CHECK-NEXT: onnx.Sigmoid
// CHECK-NEXT: onnx.Mul
func.func @used(%x: !t) -> (!t, !t) {
  %0 = onnx.Sigmoid(%x) : (!t) -> !t
  %1 = onnx.Mul(%0, %x) : (!t, !t) -> !t
  return %0, %1 : !t, !t
}
