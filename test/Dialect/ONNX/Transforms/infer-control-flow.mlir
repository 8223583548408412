// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of subgraphs.

// A size that changes from one iteration to the next is dynamic.
// CHECK-LABEL: func @loop(
// CHECK-SAME: -> (tensor<?xf32>, tensor<7x4xf32>)
// CHECK: ^bb0(%{{.*}}: tensor<i64>, %{{.*}}: tensor<i1>, %{{.*}}: tensor<?xf32>):
func.func @loop(%init: tensor<1xf32>, %x: tensor<4xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %none = onnx.NoValue : none
  %n = onnx.Constant {value = dense<7> : tensor<i64>} : tensor<i64>
  %all, %scan = onnx.Loop(%n, %none, %init) {
  ^bb0(%i: tensor<*x!onnx.unknown>, %c: tensor<*x!onnx.unknown>, %acc: tensor<*x!onnx.unknown>):
    %next = onnx.Concat(%acc, %x) {axis = 0 : i64} : (tensor<*x!onnx.unknown>, tensor<4xf32>) -> tensor<*x!onnx.unknown>
    %y = onnx.Relu(%x) : (tensor<4xf32>) -> tensor<*x!onnx.unknown>
    onnx.Yield(%c, %next, %y) : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
  } : (tensor<i64>, none, tensor<1xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %all, %scan : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// A known condition leaves one branch; the other may not even fit.
// CHECK-LABEL: func @taken(
// CHECK-NOT: onnx.If
// CHECK: onnx.Relu(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @taken(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %n = onnx.Size(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  %six = onnx.Constant {value = dense<6> : tensor<i64>} : tensor<i64>
  %c = onnx.Equal(%n, %six) : (tensor<*x!onnx.unknown>, tensor<i64>) -> tensor<*x!onnx.unknown>
  %y = onnx.If(%c) then {
    %0 = onnx.Relu(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
    onnx.Yield(%0) : tensor<*x!onnx.unknown>
  } else {
    %0 = onnx.MatMul(%x, %x) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
    onnx.Yield(%0) : tensor<*x!onnx.unknown>
  } : (tensor<*x!onnx.unknown>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
