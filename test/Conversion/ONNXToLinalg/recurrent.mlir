// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// All inputs are multiplied before the loop, in one product. Constant weights
// are layers that can be quantized.
// CHECK-LABEL: func.func @lstm
// CHECK: nibble.matmul %{{.*}} weight(%{{.*}}) {k = 3 : i64, layers = ["rnn.input"], n = 16 : i64, onnx.op_type = "LSTM", transpose_weight} : (tensor<5x2x3xf32>, tensor<16x3xf32>) -> tensor<5x2x16xf32>
// CHECK: %[[LOOP:.*]]:3 = scf.for
// CHECK: nibble.matmul {{.*}} layers = ["rnn.recurrent"]
// CHECK: math.exp
// CHECK: math.tanh
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[%{{.*}}, 0, 0, 0] [1, 1, 2, 4]
// CHECK: scf.yield
// CHECK: return %[[LOOP]]#2, %[[LOOP]]#0
func.func @lstm(%x: tensor<5x2x3xf32>) -> (tensor<5x1x2x4xf32>, tensor<1x2x4xf32>) {
  %none = onnx.NoValue : none
  %w = nibble.constant dense<0.5> : tensor<1x16x3xf32>
  %r = nibble.constant dense<0.25> : tensor<1x16x4xf32>
  %y, %h, %c = onnx.LSTM(%x, %w, %r, %none, %none, %none, %none, %none) {hidden_size = 4 : i64, onnx.name = "rnn"} : (tensor<5x2x3xf32>, tensor<1x16x3xf32>, tensor<1x16x4xf32>, none, none, none, none, none) -> (tensor<5x1x2x4xf32>, tensor<1x2x4xf32>, none)
  return %y, %h : tensor<5x1x2x4xf32>, tensor<1x2x4xf32>
}

// -----

// Weights that are inputs of the model: plain products. The second direction
// walks from the end.
// CHECK-LABEL: func.func @gru
// CHECK: linalg.matmul
// CHECK: scf.for
// CHECK: linalg.matmul
// CHECK: linalg.matmul
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[N:.*]] step
// CHECK: arith.subi %{{.*}}, %[[I]]
func.func @gru(%x: tensor<?x2x3xf32>, %w: tensor<2x12x3xf32>, %r: tensor<2x12x4xf32>, %lens: tensor<2xi32>) -> tensor<2x2x4xf32> {
  %none = onnx.NoValue : none
  %y, %h = onnx.GRU(%x, %w, %r, %none, %lens, %none) {direction = "bidirectional", onnx.name = "gru"} : (tensor<?x2x3xf32>, tensor<2x12x3xf32>, tensor<2x12x4xf32>, none, tensor<2xi32>, none) -> (none, tensor<2x2x4xf32>)
  return %h : tensor<2x2x4xf32>
}
