// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-rotary))' | FileCheck %s

// Constant tables of which the halves are equal are halved; rows are gathered
// from what is left.

!x = tensor<2x1x3x4xf32>
!h = tensor<2x1x3x2xf32>
!c = tensor<2x1x3x4xf32>

// CHECK-LABEL: func @gathered(
// CHECK-SAME: %[[X:[^:]*]]: tensor<2x1x3x4xf32>, %[[P:[^:]*]]: tensor<2x3xi64>
// CHECK-DAG: %[[COS:.*]] = onnx.Constant {value = dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00{{\]\]}}> : tensor<2x2xf32>}
// CHECK-DAG: %[[SIN:.*]] = onnx.Constant {value = dense<{{\[\[}}5.000000e+00, 6.000000e+00], [7.000000e+00, 8.000000e+00{{\]\]}}> : tensor<2x2xf32>}
// CHECK-DAG: %[[C:.*]] = onnx.Gather(%[[COS]], %[[P]]) : (tensor<2x2xf32>, tensor<2x3xi64>) -> tensor<2x3x2xf32>
// CHECK-DAG: %[[S:.*]] = onnx.Gather(%[[SIN]], %[[P]]) : (tensor<2x2xf32>, tensor<2x3xi64>) -> tensor<2x3x2xf32>
// CHECK: onnx.RotaryEmbedding(%[[X]], %[[C]], %[[S]], %{{.*}})
func.func @gathered(%x: !x, %p: tensor<2x3xi64>) -> !x {
  %none = onnx.NoValue : none
  %head = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %cos = onnx.Constant {value = dense<[[1.0, 2.0, 1.0, 2.0], [3.0, 4.0, 3.0, 4.0]]> : tensor<2x4xf32>} : tensor<2x4xf32>
  %sin = onnx.Constant {value = dense<[[5.0, 6.0, 5.0, 6.0], [7.0, 8.0, 7.0, 8.0]]> : tensor<2x4xf32>} : tensor<2x4xf32>
  %c0 = onnx.Gather(%cos, %p) : (tensor<2x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
  %s0 = onnx.Gather(%sin, %p) : (tensor<2x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
  %c = onnx.Unsqueeze(%c0, %head) : (tensor<2x3x4xf32>, tensor<1xi64>) -> !c
  %s = onnx.Unsqueeze(%s0, %head) : (tensor<2x3x4xf32>, tensor<1xi64>) -> !c
  %a, %b = onnx.Split(%x, %none) {axis = -1 : i64, num_outputs = 2 : i64} : (!x, none) -> (!h, !h)
  %n = onnx.Neg(%b) : (!h) -> !h
  %r = onnx.Concat(%n, %a) {axis = -1 : i64} : (!h, !h) -> !x
  %0 = onnx.Mul(%c, %x) : (!c, !x) -> !x
  %1 = onnx.Mul(%s, %r) : (!c, !x) -> !x
  %2 = onnx.Add(%1, %0) : (!x, !x) -> !x
  return %2 : !x
}
