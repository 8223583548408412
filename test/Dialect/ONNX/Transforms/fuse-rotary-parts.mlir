// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-rotary))' | FileCheck %s

// [a cos - b sin, b cos + a sin]: there is one cosine for each pair. Heads are
// the third dimension here, which the operator has as rank 3.

!x = tensor<2x3x4x8xf32>
!h = tensor<2x3x4x4xf32>
!c = tensor<2x3x1x4xf32>

// CHECK-LABEL: func @length_first(
// CHECK-SAME: %[[X:[^:]*]]: tensor<2x3x4x8xf32>, %[[C4:[^:]*]]: tensor<2x3x1x4xf32>, %[[S4:[^:]*]]: tensor<2x3x1x4xf32>
// CHECK-DAG: %[[C:.*]] = onnx.Squeeze(%[[C4]], %{{.*}}) : (tensor<2x3x1x4xf32>, tensor<1xi64>) -> tensor<2x3x4xf32>
// CHECK-DAG: %[[S:.*]] = onnx.Squeeze(%[[S4]], %{{.*}}) : (tensor<2x3x1x4xf32>, tensor<1xi64>) -> tensor<2x3x4xf32>
// CHECK-DAG: %[[F:.*]] = onnx.Reshape(%[[X]], %{{.*}}) : (tensor<2x3x4x8xf32>, tensor<3xi64>) -> tensor<2x3x32xf32>
// CHECK: %[[R:.*]] = onnx.RotaryEmbedding(%[[F]], %[[C]], %[[S]], %{{.*}}) {num_heads = 4 : i64}
// CHECK: onnx.Reshape(%[[R]], %{{.*}}) : (tensor<2x3x32xf32>, tensor<4xi64>) -> tensor<2x3x4x8xf32>
func.func @length_first(%x: !x, %c: !c, %s: !c) -> !x {
  %halves = onnx.Constant {value = dense<4> : tensor<2xi64>} : tensor<2xi64>
  %a, %b = onnx.Split(%x, %halves) {axis = 3 : i64} : (!x, tensor<2xi64>) -> (!h, !h)
  %0 = onnx.Mul(%a, %c) : (!h, !c) -> !h
  %1 = onnx.Mul(%b, %s) : (!h, !c) -> !h
  %2 = onnx.Sub(%0, %1) : (!h, !h) -> !h
  %3 = onnx.Mul(%b, %c) : (!h, !c) -> !h
  %4 = onnx.Mul(%a, %s) : (!h, !c) -> !h
  %5 = onnx.Add(%4, %3) : (!h, !h) -> !h
  %6 = onnx.Concat(%2, %5) {axis = 3 : i64} : (!h, !h) -> !x
  return %6 : !x
}

// The other part of x is left as it is.
// CHECK-LABEL: func @partial(
// CHECK-SAME: %[[X:[^:]*]]: tensor<2x1x3x12xf32>
// CHECK: %[[Y:.*]] = onnx.RotaryEmbedding(%[[X]], %{{.*}}) {rotary_embedding_dim = 8 : i64} : (tensor<2x1x3x12xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>, none) -> tensor<2x1x3x12xf32>
// CHECK-NEXT: return %[[Y]]
func.func @partial(%x: tensor<2x1x3x12xf32>, %c: tensor<2x1x3x4xf32>, %s: tensor<2x1x3x4xf32>) -> tensor<2x1x3x12xf32> {
  %sizes = onnx.Constant {value = dense<[8, 4]> : tensor<2xi64>} : tensor<2xi64>
  %halves = onnx.Constant {value = dense<4> : tensor<2xi64>} : tensor<2xi64>
  %y, %z = onnx.Split(%x, %sizes) {axis = 3 : i64} : (tensor<2x1x3x12xf32>, tensor<2xi64>) -> (tensor<2x1x3x8xf32>, tensor<2x1x3x4xf32>)
  %a, %b = onnx.Split(%y, %halves) {axis = 3 : i64} : (tensor<2x1x3x8xf32>, tensor<2xi64>) -> (tensor<2x1x3x4xf32>, tensor<2x1x3x4xf32>)
  %0 = onnx.Mul(%a, %c) : (tensor<2x1x3x4xf32>, tensor<2x1x3x4xf32>) -> tensor<2x1x3x4xf32>
  %1 = onnx.Mul(%b, %s) : (tensor<2x1x3x4xf32>, tensor<2x1x3x4xf32>) -> tensor<2x1x3x4xf32>
  %2 = onnx.Sub(%0, %1) : (tensor<2x1x3x4xf32>, tensor<2x1x3x4xf32>) -> tensor<2x1x3x4xf32>
  %3 = onnx.Mul(%b, %c) : (tensor<2x1x3x4xf32>, tensor<2x1x3x4xf32>) -> tensor<2x1x3x4xf32>
  %4 = onnx.Mul(%a, %s) : (tensor<2x1x3x4xf32>, tensor<2x1x3x4xf32>) -> tensor<2x1x3x4xf32>
  %5 = onnx.Add(%3, %4) : (tensor<2x1x3x4xf32>, tensor<2x1x3x4xf32>) -> tensor<2x1x3x4xf32>
  %6 = onnx.Concat(%2, %5) {axis = 3 : i64} : (tensor<2x1x3x4xf32>, tensor<2x1x3x4xf32>) -> tensor<2x1x3x8xf32>
  %7 = onnx.Concat(%6, %z) {axis = 3 : i64} : (tensor<2x1x3x8xf32>, tensor<2x1x3x4xf32>) -> tensor<2x1x3x12xf32>
  return %7 : tensor<2x1x3x12xf32>
}
