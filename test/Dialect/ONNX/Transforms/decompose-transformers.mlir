// Positions, normalization and embeddings of com.microsoft.
// RUN: nibble-opt %s -onnx-decompose-microsoft -onnx-infer-shapes | FileCheck %s

// One position is that of the first token.
// CHECK-LABEL: func.func @rotary
func.func @rotary(%x: tensor<2x?x32xf32>, %p: tensor<1xi64>, %cos: tensor<20x4xf32>, %sin: tensor<20x4xf32>) -> tensor<2x?x32xf32> {
  // CHECK: %[[RANGE:.*]] = onnx.Range
  // CHECK: %[[SUM:.*]] = onnx.Add
  // CHECK: %[[P:.*]] = onnx.Expand(%[[SUM]],
  // CHECK: onnx.RotaryEmbedding(%arg0, %arg2, %arg3, %[[P]]) {num_heads = 4 : i64, rotary_embedding_dim = 8 : i64}
  %y = onnx.microsoft.RotaryEmbedding(%x, %p, %cos, %sin) : (tensor<2x?x32xf32>, tensor<1xi64>, tensor<20x4xf32>, tensor<20x4xf32>) -> tensor<2x?x32xf32>
  return %y : tensor<2x?x32xf32>
}

// CHECK-LABEL: func.func @norm
func.func @norm(%x: tensor<2x3x16xf32>, %s: tensor<16xf32>) -> (tensor<2x3x16xf32>, tensor<2x3x1xf32>) {
  // CHECK: onnx.RMSNormalization(%arg0, %arg1) {epsilon = 1.000000e-03 : f32, onnx.name = "norm"}
  // CHECK: onnx.ReduceMean
  // CHECK: onnx.Reciprocal
  %y, %d = onnx.SimplifiedLayerNormalization(%x, %s) {epsilon = 1.000000e-03 : f32, onnx.name = "norm"} : (tensor<2x3x16xf32>, tensor<16xf32>) -> (tensor<2x3x16xf32>, tensor<2x3x1xf32>)
  return %y, %d : tensor<2x3x16xf32>, tensor<2x3x1xf32>
}

// CHECK-LABEL: func.func @norm_of_domain
func.func @norm_of_domain(%x: tensor<2x3x16xf32>, %s: tensor<16xf32>) -> tensor<2x3x16xf32> {
  // CHECK: onnx.RMSNormalization(%arg0, %arg1)
  // CHECK-NOT: onnx.Reciprocal
  %y, %d = onnx.microsoft.SimplifiedLayerNormalization(%x, %s) : (tensor<2x3x16xf32>, tensor<16xf32>) -> (tensor<2x3x16xf32>, none)
  return %y : tensor<2x3x16xf32>
}

// CHECK-LABEL: func.func @embed
func.func @embed(%ids: tensor<1x?xi32>, %kinds: tensor<1x?xi32>, %words: tensor<30x16xf32>, %places: tensor<9x16xf32>, %segments: tensor<2x16xf32>, %g: tensor<16xf32>, %b: tensor<16xf32>, %m: tensor<1x?xi32>) -> (tensor<1x?x16xf32>, tensor<1xi32>) {
  // CHECK: onnx.Gather(%arg2, %arg0) {onnx.name = "embed"}
  // CHECK: onnx.Gather(%arg3,
  // CHECK: onnx.Gather(%arg4, %arg1)
  // CHECK: onnx.LayerNormalization({{.*}}, %arg5, %arg6) {epsilon = 9.99999996E-13 : f32}
  // CHECK: onnx.ReduceSum
  %none = onnx.NoValue : none
  %y, %n, %s = onnx.microsoft.EmbedLayerNormalization(%ids, %kinds, %words, %places, %segments, %g, %b, %m, %none) {onnx.name = "embed"} : (tensor<1x?xi32>, tensor<1x?xi32>, tensor<30x16xf32>, tensor<9x16xf32>, tensor<2x16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<1x?xi32>, none) -> (tensor<1x?x16xf32>, tensor<1xi32>, none)
  return %y, %n : tensor<1x?x16xf32>, tensor<1xi32>
}
