// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Elements of shapes are followed one by one.

// Exporters write x.view(batch, -1) like this; the batch is not known.
// CHECK-LABEL: func @view(
// CHECK-SAME: %[[X:.*]]: tensor<?x3x4xf32>) -> tensor<?x12xf32>
// CHECK: onnx.Reshape(%[[X]], %{{.*}}) : (tensor<?x3x4xf32>, tensor<2xi64>) -> tensor<?x12xf32>
func.func @view(%x: tensor<?x3x4xf32>) -> tensor<*x!onnx.unknown> {
  %zero = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
  %rest = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %shape = onnx.Shape(%x) : (tensor<?x3x4xf32>) -> tensor<*x!onnx.unknown>
  %batch = onnx.Gather(%shape, %zero) : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %target = onnx.Concat(%batch, %rest) {axis = 0 : i64} : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %y = onnx.Reshape(%x, %target) : (tensor<?x3x4xf32>, tensor<*x!onnx.unknown>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// A shape that is wholly known leaves nothing but a constant.
// CHECK-LABEL: func @half(
// CHECK-SAME: -> tensor<2x5x4xf32>
// CHECK-NEXT: onnx.Constant {value = dense<[2, 5, 4]> : tensor<3xi64>}
// CHECK-NEXT: onnx.Reshape
// CHECK-NEXT: return
func.func @half(%x: tensor<4x10xf32>) -> tensor<*x!onnx.unknown> {
  %two = onnx.Constant {value = dense<2> : tensor<i64>} : tensor<i64>
  %axes = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
  %shape = onnx.Shape(%x) {start = 1 : i64} : (tensor<4x10xf32>) -> tensor<*x!onnx.unknown>
  %n = onnx.Squeeze(%shape, %axes) : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %h = onnx.Div(%n, %two) : (tensor<*x!onnx.unknown>, tensor<i64>) -> tensor<*x!onnx.unknown>
  %hs = onnx.Unsqueeze(%h, %axes) : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %two1 = onnx.Constant {value = dense<2> : tensor<1xi64>} : tensor<1xi64>
  %four = onnx.Constant {value = dense<4> : tensor<1xi64>} : tensor<1xi64>
  %target = onnx.Concat(%two1, %hs, %four) {axis = 0 : i64} : (tensor<1xi64>, tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %y = onnx.Reshape(%x, %target) : (tensor<4x10xf32>, tensor<*x!onnx.unknown>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
