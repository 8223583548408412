// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-activation))' | FileCheck %s

// Gelu by erf, with the factors in the orders of several exporters.

!t = tensor<?x8xf32>
!s = tensor<f32>

// x * (1 + erf(x / sqrt(2))) * 1/2
// CHECK-LABEL: func @divided(
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>
// CHECK-NEXT: %[[Y:.*]] = onnx.Gelu(%[[X]]) {onnx.name = "act"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @divided(%x: !t) -> !t {
  %root = onnx.Constant {value = dense<1.41421354> : !s} : !s
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %half = onnx.Constant {value = dense<0.5> : !s} : !s
  %0 = onnx.Div(%x, %root) : (!t, !s) -> !t
  %1 = onnx.Erf(%0) : (!t) -> !t
  %2 = onnx.Add(%1, %one) : (!t, !s) -> !t
  %3 = onnx.Mul(%x, %2) : (!t, !t) -> !t
  %4 = onnx.Mul(%3, %half) {onnx.name = "act"} : (!t, !s) -> !t
  return %4 : !t
}

// (x * 1/2) * (1 + erf(0.7071 x))
// CHECK-LABEL: func @multiplied(
// CHECK-NEXT: onnx.Gelu(
// CHECK-NEXT: return
func.func @multiplied(%x: !t) -> !t {
  %c = onnx.Constant {value = dense<0.707106769> : tensor<1xf32>} : tensor<1xf32>
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %half = onnx.Constant {value = dense<0.5> : !s} : !s
  %0 = onnx.Mul(%c, %x) : (tensor<1xf32>, !t) -> !t
  %1 = onnx.Erf(%0) : (!t) -> !t
  %2 = onnx.Add(%one, %1) : (!s, !t) -> !t
  %3 = onnx.Mul(%x, %half) : (!t, !s) -> !t
  %4 = onnx.Mul(%3, %2) : (!t, !t) -> !t
  return %4 : !t
}

// x * (1/2 * (1 + erf(..))), 1/2 as a division
// CHECK-LABEL: func @grouped(
// CHECK-NEXT: onnx.Gelu(
// CHECK-NEXT: return
func.func @grouped(%x: !t) -> !t {
  %root = onnx.Constant {value = dense<1.41421354> : !s} : !s
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %two = onnx.Constant {value = dense<2.0> : !s} : !s
  %0 = onnx.Div(%x, %root) : (!t, !s) -> !t
  %1 = onnx.Erf(%0) : (!t) -> !t
  %2 = onnx.Add(%1, %one) : (!t, !s) -> !t
  %3 = onnx.Div(%2, %two) : (!t, !s) -> !t
  %4 = onnx.Mul(%3, %x) : (!t, !t) -> !t
  return %4 : !t
}
