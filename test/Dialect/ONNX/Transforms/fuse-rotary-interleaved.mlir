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

// Heads are third, and their dimension is added together with the widened one.
// CHECK-LABEL: func @length_first(
// CHECK-SAME: %[[X:[^:]*]]: tensor<2x3x1x4xf32>, %[[F:[^:]*]]: tensor<2x3x2xf32>
// CHECK: %[[R:.*]] = onnx.RotaryEmbedding(%{{.*}}) {interleaved = 1 : i64, num_heads = 1 : i64} : (tensor<2x3x4xf32>, tensor<2x3x2xf32>, tensor<2x3x2xf32>, none)
// CHECK: onnx.Reshape(%[[R]], %{{.*}}) : (tensor<2x3x4xf32>, tensor<4xi64>) -> tensor<2x3x1x4xf32>
func.func @length_first(%x: tensor<2x3x1x4xf32>, %f: tensor<2x3x2xf32>) -> tensor<2x3x1x4xf32> {
  %zero = onnx.Constant {value = dense<0> : !i} : !i
  %one = onnx.Constant {value = dense<1> : !i} : !i
  %two = onnx.Constant {value = dense<2> : !i} : !i
  %four = onnx.Constant {value = dense<4> : !i} : !i
  %last = onnx.Constant {value = dense<-1> : !i} : !i
  %axes = onnx.Constant {value = dense<[2, 4]> : tensor<2xi64>} : tensor<2xi64>
  %twice = onnx.Constant {value = dense<[1, 1, 1, 1, 2]> : tensor<5xi64>} : tensor<5xi64>
  %whole = onnx.Constant {value = dense<[2, 3, 1, 4]> : tensor<4xi64>} : tensor<4xi64>
  %u = onnx.Unsqueeze(%f, %axes) : (tensor<2x3x2xf32>, tensor<2xi64>) -> tensor<2x3x1x2x1xf32>
  %d = onnx.Expand(%u, %twice) : (tensor<2x3x1x2x1xf32>, tensor<5xi64>) -> tensor<2x3x1x2x2xf32>
  %c = onnx.Reshape(%d, %whole) : (tensor<2x3x1x2x2xf32>, tensor<4xi64>) -> tensor<2x3x1x4xf32>
  %a = onnx.Slice(%x, %zero, %four, %last, %two) : (tensor<2x3x1x4xf32>, !i, !i, !i, !i) -> tensor<2x3x1x2xf32>
  %b = onnx.Slice(%x, %one, %four, %last, %two) : (tensor<2x3x1x4xf32>, !i, !i, !i, !i) -> tensor<2x3x1x2xf32>
  %n = onnx.Neg(%b) : (tensor<2x3x1x2xf32>) -> tensor<2x3x1x2xf32>
  %n1 = onnx.Unsqueeze(%n, %last) : (tensor<2x3x1x2xf32>, !i) -> tensor<2x3x1x2x1xf32>
  %a1 = onnx.Unsqueeze(%a, %last) : (tensor<2x3x1x2xf32>, !i) -> tensor<2x3x1x2x1xf32>
  %j = onnx.Concat(%n1, %a1) {axis = -1 : i64} : (tensor<2x3x1x2x1xf32>, tensor<2x3x1x2x1xf32>) -> tensor<2x3x1x2x2xf32>
  %r = onnx.Reshape(%j, %whole) : (tensor<2x3x1x2x2xf32>, tensor<4xi64>) -> tensor<2x3x1x4xf32>
  %0 = onnx.Mul(%x, %c) : (tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>) -> tensor<2x3x1x4xf32>
  %1 = onnx.Mul(%r, %c) : (tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>) -> tensor<2x3x1x4xf32>
  %2 = onnx.Add(%0, %1) : (tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>) -> tensor<2x3x1x4xf32>
  return %2 : tensor<2x3x1x4xf32>
}
