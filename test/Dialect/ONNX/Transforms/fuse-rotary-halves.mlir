// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-rotary))' | FileCheck %s

// x * cos + rotate(x) * sin with two halves, as most models have it. Cosines
// of [f, f] are those of f, once; the batch of 1 is written out.

!x = tensor<?x4x?x8xf32>
!h = tensor<?x4x?x4xf32>
!c = tensor<1x1x?x8xf32>

// CHECK-LABEL: func @main(
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x4x?x8xf32> {{{[^}]*}}}, %[[F:[^:]*]]: tensor<1x?x4xf32>
// CHECK-DAG: %[[COS:.*]] = onnx.Cos(%[[F]]) : (tensor<1x?x4xf32>) -> tensor<1x?x4xf32>
// CHECK-DAG: %[[SIN:.*]] = onnx.Sin(%[[F]]) : (tensor<1x?x4xf32>) -> tensor<1x?x4xf32>
// CHECK-DAG: %[[C:.*]] = onnx.Expand(%[[COS]], %{{.*}}) : (tensor<1x?x4xf32>, tensor<3xi64>) -> tensor<?x?x4xf32>
// CHECK-DAG: %[[S:.*]] = onnx.Expand(%[[SIN]], %{{.*}}) : (tensor<1x?x4xf32>, tensor<3xi64>) -> tensor<?x?x4xf32>
// CHECK: %[[Y:.*]] = onnx.RotaryEmbedding(%[[X]], %[[C]], %[[S]], %{{.*}}) {onnx.name = "rope"} : (tensor<?x4x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, none) -> tensor<?x4x?x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @main(%x: !x {onnx.dim_names = ["b", "", "s", ""]}, %f: tensor<1x?x4xf32>,
                %ids: tensor<?x?xi64> {onnx.dim_names = ["b", "s"]}) -> !x {
  %head = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %from = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
  %middle = onnx.Constant {value = dense<4> : tensor<1xi64>} : tensor<1xi64>
  %to = onnx.Constant {value = dense<9223372036854775807> : tensor<1xi64>} : tensor<1xi64>
  %last = onnx.Constant {value = dense<3> : tensor<1xi64>} : tensor<1xi64>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %e = onnx.Concat(%f, %f) {axis = -1 : i64} : (tensor<1x?x4xf32>, tensor<1x?x4xf32>) -> tensor<1x?x8xf32>
  %cos = onnx.Cos(%e) : (tensor<1x?x8xf32>) -> tensor<1x?x8xf32>
  %sin = onnx.Sin(%e) : (tensor<1x?x8xf32>) -> tensor<1x?x8xf32>
  %c = onnx.Unsqueeze(%cos, %head) : (tensor<1x?x8xf32>, tensor<1xi64>) -> !c
  %s = onnx.Unsqueeze(%sin, %head) : (tensor<1x?x8xf32>, tensor<1xi64>) -> !c
  %0 = onnx.Mul(%x, %c) : (!x, !c) -> !x
  %1 = onnx.Slice(%x, %from, %middle, %last, %one) : (!x, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> !h
  %2 = onnx.Slice(%x, %middle, %to, %last, %one) : (!x, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> !h
  %3 = onnx.Neg(%2) : (!h) -> !h
  %4 = onnx.Concat(%3, %1) {axis = -1 : i64} : (!h, !h) -> !x
  %5 = onnx.Mul(%4, %s) : (!x, !c) -> !x
  %6 = onnx.Add(%0, %5) {onnx.name = "rope"} : (!x, !x) -> !x
  return %6 : !x
}
