// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @rnn(
// CHECK-SAME: -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>) {
func.func @rnn(%x: tensor<5x1x3xf32>, %w: tensor<1x4x3xf32>, %r: tensor<1x4x4xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %none = onnx.NoValue : none
  %y, %h = onnx.RNN(%x, %w, %r, %none, %none, %none) {hidden_size = 4 : i64} : (tensor<5x1x3xf32>, tensor<1x4x3xf32>, tensor<1x4x4xf32>, none, none, none) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y, %h : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @gru(
// CHECK-SAME: -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>) {
func.func @gru(%x: tensor<5x1x3xf32>, %w: tensor<1x12x3xf32>, %r: tensor<1x12x4xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %none = onnx.NoValue : none
  %y, %h = onnx.GRU(%x, %w, %r, %none, %none, %none) {hidden_size = 4 : i64} : (tensor<5x1x3xf32>, tensor<1x12x3xf32>, tensor<1x12x4xf32>, none, none, none) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y, %h : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @lstm(
// CHECK-SAME: -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>) {
func.func @lstm(%x: tensor<5x1x3xf32>, %w: tensor<1x16x3xf32>, %r: tensor<1x16x4xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %none = onnx.NoValue : none
  %y, %h, %c = onnx.LSTM(%x, %w, %r, %none, %none, %none, %none, %none) {hidden_size = 4 : i64} : (tensor<5x1x3xf32>, tensor<1x16x3xf32>, tensor<1x16x4xf32>, none, none, none, none, none) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %y, %h, %c : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}
