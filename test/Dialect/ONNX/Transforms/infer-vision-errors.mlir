// RUN: nibble-opt %s -onnx-infer-shapes -split-input-file -verify-diagnostics

// Contradictions of shapes name the layer.

func.func @grid(%x: tensor<1x3x4x4xf32>, %g: tensor<1x6x6x3xf32>) -> tensor<*xf32> {
  // expected-error@+1 {{(layer 'warp') grid has shape [1, 6, 6, 3], expected 2 coordinates in its last dimension}}
  %0 = onnx.GridSample(%x, %g) {onnx.name = "warp"} : (tensor<1x3x4x4xf32>, tensor<1x6x6x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @rois(%x: tensor<1x3x10x10xf32>, %r: tensor<4x5xf32>, %i: tensor<4xi64>) -> tensor<*xf32> {
  // expected-error@+1 {{rois has shape [4, 5], expected 4 columns}}
  %0 = onnx.RoiAlign(%x, %r, %i) : (tensor<1x3x10x10xf32>, tensor<4x5xf32>, tensor<4xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @boxes(%b: tensor<1x6x5xf32>, %s: tensor<1x1x6xf32>) -> tensor<*xi64> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{boxes has shape [1, 6, 5], expected 4 numbers a box}}
  %0 = onnx.NonMaxSuppression(%b, %s, %none, %none, %none) : (tensor<1x6x5xf32>, tensor<1x1x6xf32>, none, none, none) -> tensor<*xi64>
  return %0 : tensor<*xi64>
}

// -----

func.func @det(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  // expected-error@+1 {{X has shape [2, 3], expected square matrices}}
  %0 = onnx.Det(%x) : (tensor<2x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}
