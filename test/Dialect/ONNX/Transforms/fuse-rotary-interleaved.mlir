// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-rotary))' | FileCheck %s

// Pairs of neighbours: each cosine stands next to itself.

!x = tensor<2x1x3x4xf32>
!h = tensor<2x1x3x2xf32>
!p = tensor<2x1x3x2x1xf32>
!i = tensor<1xi64>

// CHECK-LABEL: func @neighbours(
// CHECK-SAME: %[[X:[^:]*]]: tensor<2x1x3x4xf32>, %[[F:[^:]*]]: tensor<2x3x2xf32>
// CHECK-DAG: %[[C:.*]] = onnx.Cos(%[[F]]) : (tensor<2x3x2xf32>) -> tensor<2x3x2xf32>
// CHECK-DAG: %[[S:.*]] = onnx.Sin(%[[F]]) : (tensor<2x3x2xf32>) -> tensor<2x3x2xf32>
// CHECK: onnx.RotaryEmbedding(%[[X]], %[[C]], %[[S]], %{{.*}}) {interleaved = 1 : i64}
func.func @neighbours(%x: !x, %f: tensor<2x3x2xf32>) -> !x {
  %zero = onnx.Constant {value = dense<0> : !i} : !i
  %one = onnx.Constant {value = dense<1> : !i} : !i
  %two = onnx.Constant {value = dense<2> : !i} : !i
  %four = onnx.Constant {value = dense<4> : !i} : !i
  %last = onnx.Constant {value = dense<-1> : !i} : !i
  %shape = onnx.Constant {value = dense<[2, 3, 4]> : tensor<3xi64>} : tensor<3xi64>
  %whole = onnx.Constant {value = dense<[2, 1, 3, 4]> : tensor<4xi64>} : tensor<4xi64>
  %u = onnx.Unsqueeze(%f, %last) : (tensor<2x3x2xf32>, !i) -> tensor<2x3x2x1xf32>
  %d = onnx.Concat(%u, %u) {axis = -1 : i64} : (tensor<2x3x2x1xf32>, tensor<2x3x2x1xf32>) -> tensor<2x3x2x2xf32>
  %e = onnx.Reshape(%d, %shape) : (tensor<2x3x2x2xf32>, tensor<3xi64>) -> tensor<2x3x4xf32>
  %cos = onnx.Cos(%e) : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  %sin = onnx.Sin(%e) : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  %c = onnx.Unsqueeze(%cos, %one) : (tensor<2x3x4xf32>, !i) -> !x
  %s = onnx.Unsqueeze(%sin, %one) : (tensor<2x3x4xf32>, !i) -> !x
  %a = onnx.Slice(%x, %zero, %four, %last, %two) : (!x, !i, !i, !i, !i) -> !h
  %b = onnx.Slice(%x, %one, %four, %last, %two) : (!x, !i, !i, !i, !i) -> !h
  %n = onnx.Neg(%b) : (!h) -> !h
  %n1 = onnx.Unsqueeze(%n, %last) : (!h, !i) -> !p
  %a1 = onnx.Unsqueeze(%a, %last) : (!h, !i) -> !p
  %j = onnx.Concat(%n1, %a1) {axis = -1 : i64} : (!p, !p) -> tensor<2x1x3x2x2xf32>
  %r = onnx.Reshape(%j, %whole) : (tensor<2x1x3x2x2xf32>, tensor<4xi64>) -> !x
  %0 = onnx.Mul(%x, %c) : (!x, !x) -> !x
  %1 = onnx.Mul(%r, %s) : (!x, !x) -> !x
  %2 = onnx.Add(%0, %1) : (!x, !x) -> !x
  return %2 : !x
}
