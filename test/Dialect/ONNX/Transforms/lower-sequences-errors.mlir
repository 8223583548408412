// RUN: not nibble-opt %s --onnx-infer-shapes --onnx-lower-sequences --split-input-file 2>&1 | FileCheck %s

// CHECK: error: 'onnx.SequenceConstruct' op (layer 'mixed') a tensor of shape [2] comes to tensors of shape [] in one sequence, expected one rank
func.func @ranks(%a: tensor<f32>, %b: tensor<2xf32>) -> !onnx.seq<tensor<*xf32>> {
  %0 = onnx.SequenceConstruct(%a, %b) {onnx.name = "mixed"} : (tensor<f32>, tensor<2xf32>) -> !onnx.seq<tensor<*xf32>>
  return %0 : !onnx.seq<tensor<*xf32>>
}

// -----

// CHECK: error: input 's' has type '!onnx.seq<tensor<*xf32>>', expected one with an element type and a rank
func.func @unknown(%s: !onnx.seq<tensor<*xf32>> {onnx.name = "s"}) -> tensor<i64> {
  %0 = onnx.SequenceLength(%s) : (!onnx.seq<tensor<*xf32>>) -> tensor<i64>
  return %0 : tensor<i64>
}

// -----

// CHECK: error: input #0: sequences and optionals of !onnx.string cannot be compiled
func.func @strings(%s: !onnx.seq<tensor<?x!onnx.string>>) -> tensor<i64> {
  %0 = onnx.SequenceLength(%s) : (!onnx.seq<tensor<?x!onnx.string>>) -> tensor<i64>
  return %0 : tensor<i64>
}

// -----

// CHECK: error: input #0: maps cannot be compiled
func.func @maps(%m: !onnx.map<i64, tensor<f32>>, %x: tensor<f32>) -> tensor<f32> {
  %0 = onnx.Optional(%x) : (tensor<f32>) -> !onnx.optional<tensor<f32>>
  return %x : tensor<f32>
}
