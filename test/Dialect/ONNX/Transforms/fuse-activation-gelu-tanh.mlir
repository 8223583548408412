// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-activation))' | FileCheck %s

// Gelu by tanh: the cube is a Pow or products.

!t = tensor<?x8xf32>
!s = tensor<f32>

// x/2 * (1 + tanh(c * (x + a x^3)))
// CHECK-LABEL: func @power(
// CHECK-NEXT: %[[Y:.*]] = onnx.Gelu(%{{.*}}) {approximate = "tanh"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @power(%x: !t) -> !t {
  %three = onnx.Constant {value = dense<3.0> : !s} : !s
  %a = onnx.Constant {value = dense<4.471500e-02> : !s} : !s
  %c = onnx.Constant {value = dense<0.797884583> : !s} : !s
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %half = onnx.Constant {value = dense<0.5> : !s} : !s
  %0 = onnx.Mul(%x, %half) : (!t, !s) -> !t
  %1 = onnx.Pow(%x, %three) : (!t, !s) -> !t
  %2 = onnx.Mul(%1, %a) : (!t, !s) -> !t
  %3 = onnx.Add(%x, %2) : (!t, !t) -> !t
  %4 = onnx.Mul(%3, %c) : (!t, !s) -> !t
  %5 = onnx.Tanh(%4) : (!t) -> !t
  %6 = onnx.Add(%5, %one) : (!t, !s) -> !t
  %7 = onnx.Mul(%0, %6) : (!t, !t) -> !t
  return %7 : !t
}

// x * 1/2 * (1 + tanh(c x * (1 + a x x)))
// CHECK-LABEL: func @products(
// CHECK-NEXT: onnx.Gelu(%{{.*}}) {approximate = "tanh"}
// CHECK-NEXT: return
func.func @products(%x: !t) -> !t {
  %a = onnx.Constant {value = dense<4.471500e-02> : !s} : !s
  %c = onnx.Constant {value = dense<0.797884583> : !s} : !s
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %half = onnx.Constant {value = dense<0.5> : !s} : !s
  %0 = onnx.Mul(%x, %x) : (!t, !t) -> !t
  %1 = onnx.Mul(%a, %0) : (!s, !t) -> !t
  %2 = onnx.Add(%one, %1) : (!s, !t) -> !t
  %3 = onnx.Mul(%x, %c) : (!t, !s) -> !t
  %4 = onnx.Mul(%3, %2) : (!t, !t) -> !t
  %5 = onnx.Tanh(%4) : (!t) -> !t
  %6 = onnx.Add(%one, %5) : (!s, !t) -> !t
  %7 = onnx.Mul(%x, %6) : (!t, !t) -> !t
  %8 = onnx.Mul(%half, %7) : (!s, !t) -> !t
  return %8 : !t
}

// x * 1/2 * (1 + tanh(c x * (1 + (a x) x))), as BLOOM has it
// CHECK-LABEL: func @one_by_one(
// CHECK-NEXT: onnx.Gelu(%{{.*}}) {approximate = "tanh"}
// CHECK-NEXT: return
func.func @one_by_one(%x: !t) -> !t {
  %a = onnx.Constant {value = dense<4.471500e-02> : !s} : !s
  %c = onnx.Constant {value = dense<0.797884583> : !s} : !s
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %half = onnx.Constant {value = dense<0.5> : !s} : !s
  %0 = onnx.Mul(%x, %a) : (!t, !s) -> !t
  %1 = onnx.Mul(%0, %x) : (!t, !t) -> !t
  %2 = onnx.Add(%1, %one) : (!t, !s) -> !t
  %3 = onnx.Mul(%x, %c) : (!t, !s) -> !t
  %4 = onnx.Mul(%3, %2) : (!t, !t) -> !t
  %5 = onnx.Tanh(%4) : (!t) -> !t
  %6 = onnx.Add(%5, %one) : (!t, !s) -> !t
  %7 = onnx.Mul(%x, %half) : (!t, !s) -> !t
  %8 = onnx.Mul(%7, %6) : (!t, !t) -> !t
  return %8 : !t
}
