// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file --verify-diagnostics | FileCheck %s

// Positions are checked once, however many tensors are turned by them.
// CHECK-LABEL: func.func @by_position
// CHECK: cf.assert %{{.*}}, "q: context overflow: a position is beyond the 9 rows of cos_cache"
// CHECK: linalg.generic
// CHECK: linalg.index 3
// CHECK: tensor.extract
// CHECK-NOT: a position is beyond
func.func @by_position(%q: tensor<2x3x16xf32>, %k: tensor<2x3x16xf32>, %c: tensor<9x4xf32>,
                       %p: tensor<2x3xi64>) -> (tensor<2x3x16xf32>, tensor<2x3x16xf32>) {
  %0 = onnx.RotaryEmbedding(%q, %c, %c, %p) {num_heads = 2 : i64, onnx.name = "q"} : (tensor<2x3x16xf32>, tensor<9x4xf32>, tensor<9x4xf32>, tensor<2x3xi64>) -> tensor<2x3x16xf32>
  %1 = onnx.RotaryEmbedding(%k, %c, %c, %p) {num_heads = 2 : i64, onnx.name = "k"} : (tensor<2x3x16xf32>, tensor<9x4xf32>, tensor<9x4xf32>, tensor<2x3xi64>) -> tensor<2x3x16xf32>
  return %0, %1 : tensor<2x3x16xf32>, tensor<2x3x16xf32>
}

// -----

// Neighbours are partners: the lowest bit tells which of the two one is.
// CHECK-LABEL: func.func @interleaved
// CHECK: arith.andi
// CHECK: arith.shrui
// CHECK: arith.xori
func.func @interleaved(%x: tensor<2x4x3x8xf32>, %c: tensor<2x3x4xf32>) -> tensor<2x4x3x8xf32> {
  %none = onnx.NoValue : none
  %0 = onnx.RotaryEmbedding(%x, %c, %c, %none) {interleaved = 1 : i64} : (tensor<2x4x3x8xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>, none) -> tensor<2x4x3x8xf32>
  return %0 : tensor<2x4x3x8xf32>
}

// -----

func.func @no_heads(%x: tensor<2x3x16xf32>, %c: tensor<2x3x4xf32>) -> tensor<2x3x16xf32> {
  %none = onnx.NoValue : none
  // The verifier says it before the lowering has to.
  // expected-error @+1 {{rank 3 needs num_heads of at least 1, got 0}}
  %0 = onnx.RotaryEmbedding(%x, %c, %c, %none) {onnx.name = "turn"} : (tensor<2x3x16xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>, none) -> tensor<2x3x16xf32>
  return %0 : tensor<2x3x16xf32>
}
