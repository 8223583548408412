// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-normalization))' | FileCheck %s

// Layer normalization as TensorFlow writes it: the mean is multiplied with the
// weight and subtracted from the bias.

!x = tensor<?x3x8xf32>
!m = tensor<?x3x1xf32>
!s = tensor<f32>
!w = tensor<8xf32>

// CHECK-LABEL: func @main(
// CHECK-SAME: %[[X:.*]]: tensor<?x3x8xf32>, %[[W:.*]]: tensor<8xf32>, %[[B:.*]]: tensor<8xf32>
// CHECK-NEXT: %[[Y:.*]], %{{.*}}, %{{.*}} = onnx.LayerNormalization(%[[X]], %[[W]], %[[B]]) {epsilon = 1.000000e-03 : f32}
// CHECK-NEXT: return %[[Y]]
func.func @main(%x: !x, %w: !w, %b: !w) -> !x {
  %eps = onnx.Constant {value = dense<1.0e-3> : !s} : !s
  %last = onnx.Constant {value = dense<2> : tensor<1xi64>} : tensor<1xi64>
  %mean = onnx.ReduceMean(%x, %last) : (!x, tensor<1xi64>) -> !m
  %d = onnx.Sub(%x, %mean) : (!x, !m) -> !x
  %0 = onnx.Mul(%d, %d) : (!x, !x) -> !x
  %1 = onnx.ReduceMean(%0, %last) : (!x, tensor<1xi64>) -> !m
  %2 = onnx.Add(%1, %eps) : (!m, !s) -> !m
  %3 = onnx.Sqrt(%2) : (!m) -> !m
  %4 = onnx.Reciprocal(%3) : (!m) -> !m
  %g = onnx.Mul(%4, %w) : (!m, !w) -> !x
  %5 = onnx.Mul(%x, %g) : (!x, !x) -> !x
  %6 = onnx.Mul(%mean, %g) : (!m, !x) -> !x
  %7 = onnx.Sub(%b, %6) : (!w, !x) -> !x
  %8 = onnx.Add(%5, %7) : (!x, !x) -> !x
  return %8 : !x
}
