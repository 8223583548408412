// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-normalization))' | FileCheck %s

// RMS normalization with its square, quotient and weight written in all ways.

!x = tensor<?x3x8xf32>
!m = tensor<?x3x1xf32>
!s = tensor<f32>

// CHECK-LABEL: func @divided(
// CHECK-SAME: %[[X:.*]]: tensor<?x3x8xf32>, %[[W:.*]]: tensor<8xf32>
// CHECK-NEXT: %[[Y:.*]] = onnx.RMSNormalization(%[[X]], %[[W]]) {epsilon = 9.99999997E-7 : f32, onnx.name = "norm"} : (tensor<?x3x8xf32>, tensor<8xf32>) -> tensor<?x3x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @divided(%x: !x, %w: tensor<8xf32>) -> !x {
  %two = onnx.Constant {value = dense<2.0> : !s} : !s
  %eps = onnx.Constant {value = dense<1.0e-6> : !s} : !s
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.Pow(%x, %two) : (!x, !s) -> !x
  %1 = onnx.ReduceMean(%0, %last) : (!x, tensor<1xi64>) -> !m
  %2 = onnx.Add(%1, %eps) : (!m, !s) -> !m
  %3 = onnx.Sqrt(%2) : (!m) -> !m
  %4 = onnx.Div(%x, %3) : (!x, !m) -> !x
  %5 = onnx.Mul(%w, %4) {onnx.name = "norm"} : (tensor<8xf32>, !x) -> !x
  return %5 : !x
}

// x * 1/sqrt(..), the weight with dimensions of 1 in front.
// CHECK-LABEL: func @reciprocal(
// CHECK: %[[W:.*]] = onnx.Reshape(%{{.*}}) : (tensor<1x1x8xf32>, tensor<1xi64>) -> tensor<8xf32>
// CHECK-NEXT: onnx.RMSNormalization(%{{.*}}, %[[W]])
// CHECK-NEXT: return
func.func @reciprocal(%x: !x, %w: tensor<1x1x8xf32>) -> !x {
  %eps = onnx.Constant {value = dense<1.0e-5> : !s} : !s
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %last = onnx.Constant {value = dense<2> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.Mul(%x, %x) : (!x, !x) -> !x
  %1 = onnx.ReduceMean(%0, %last) : (!x, tensor<1xi64>) -> !m
  %2 = onnx.Add(%eps, %1) : (!s, !m) -> !m
  %3 = onnx.Sqrt(%2) : (!m) -> !m
  %4 = onnx.Div(%one, %3) : (!s, !m) -> !m
  %5 = onnx.Mul(%4, %x) : (!m, !x) -> !x
  %6 = onnx.Mul(%5, %w) : (!x, tensor<1x1x8xf32>) -> !x
  return %6 : !x
}

// x * (..)^-0.5 over two dimensions, without a weight.
// CHECK-LABEL: func @no_weight(
// CHECK: %[[ONES:.*]] = onnx.Constant {value = dense<1.000000e+00> : tensor<3x8xf32>}
// CHECK: onnx.RMSNormalization(%{{.*}}, %[[ONES]]) {axis = -2 : i64}
func.func @no_weight(%x: !x) -> !x {
  %eps = onnx.Constant {value = dense<1.0e-5> : !s} : !s
  %power = onnx.Constant {value = dense<-0.5> : !s} : !s
  %axes = onnx.Constant {value = dense<[-1, 1]> : tensor<2xi64>} : tensor<2xi64>
  %0 = onnx.Mul(%x, %x) : (!x, !x) -> !x
  %1 = onnx.ReduceMean(%0, %axes) : (!x, tensor<2xi64>) -> tensor<?x1x1xf32>
  %2 = onnx.Add(%1, %eps) : (tensor<?x1x1xf32>, !s) -> tensor<?x1x1xf32>
  %3 = onnx.Pow(%2, %power) : (tensor<?x1x1xf32>, !s) -> tensor<?x1x1xf32>
  %4 = onnx.Mul(%x, %3) : (!x, tensor<?x1x1xf32>) -> !x
  return %4 : !x
}
