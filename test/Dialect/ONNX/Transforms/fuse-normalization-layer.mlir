// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-normalization))' | FileCheck %s

// Layer normalization: the mean is subtracted before.

!x = tensor<?x3x8xf32>
!m = tensor<?x3x1xf32>
!s = tensor<f32>

// CHECK-LABEL: func @whole(
// CHECK-SAME: %[[X:.*]]: tensor<?x3x8xf32>, %[[W:.*]]: tensor<8xf32>, %[[B:.*]]: tensor<8xf32>
// CHECK-NEXT: %[[Y:.*]], %{{.*}}, %{{.*}} = onnx.LayerNormalization(%[[X]], %[[W]], %[[B]]) {epsilon = 9.99999996E-13 : f32} : (tensor<?x3x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<?x3x8xf32>, none, none)
// CHECK-NEXT: return %[[Y]]
func.func @whole(%x: !x, %w: tensor<8xf32>, %b: tensor<8xf32>) -> !x {
  %two = onnx.Constant {value = dense<2.0> : !s} : !s
  %eps = onnx.Constant {value = dense<1.0e-12> : !s} : !s
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %mean = onnx.ReduceMean(%x, %last) : (!x, tensor<1xi64>) -> !m
  %d = onnx.Sub(%x, %mean) : (!x, !m) -> !x
  %0 = onnx.Pow(%d, %two) : (!x, !s) -> !x
  %1 = onnx.ReduceMean(%0, %last) : (!x, tensor<1xi64>) -> !m
  %2 = onnx.Add(%1, %eps) : (!m, !s) -> !m
  %3 = onnx.Sqrt(%2) : (!m) -> !m
  %4 = onnx.Div(%d, %3) : (!x, !m) -> !x
  %5 = onnx.Mul(%4, %w) : (!x, tensor<8xf32>) -> !x
  %6 = onnx.Add(%5, %b) : (!x, tensor<8xf32>) -> !x
  return %6 : !x
}

// Neither weight nor bias: what is added has another shape.
// CHECK-LABEL: func @bare(
// CHECK: %[[ONES:.*]] = onnx.Constant {value = dense<1.000000e+00> : tensor<8xf32>}
// CHECK: %[[Y:.*]], %{{.*}}, %{{.*}} = onnx.LayerNormalization(%{{.*}}, %[[ONES]], %{{.*}}) : (tensor<?x3x8xf32>, tensor<8xf32>, none)
// CHECK: onnx.Add(%[[Y]],
func.func @bare(%x: !x, %z: !x) -> !x {
  %eps = onnx.Constant {value = dense<1.0e-5> : !s} : !s
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %mean = onnx.ReduceMean(%x, %last) : (!x, tensor<1xi64>) -> !m
  %d = onnx.Sub(%x, %mean) : (!x, !m) -> !x
  %0 = onnx.Mul(%d, %d) : (!x, !x) -> !x
  %1 = onnx.ReduceMean(%0, %last) : (!x, tensor<1xi64>) -> !m
  %2 = onnx.Add(%1, %eps) : (!m, !s) -> !m
  %3 = onnx.Sqrt(%2) : (!m) -> !m
  %4 = onnx.Reciprocal(%3) : (!m) -> !m
  %5 = onnx.Mul(%d, %4) : (!x, !m) -> !x
  %6 = onnx.Add(%5, %z) : (!x, !x) -> !x
  return %6 : !x
}
