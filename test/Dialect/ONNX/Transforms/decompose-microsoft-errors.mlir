// RUN: nibble-opt %s -split-input-file -verify-diagnostics -onnx-decompose-microsoft

func.func @activation(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<1x4x6x6xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{activation is 'Cube', expected Relu, Tanh, Sigmoid, LeakyRelu, HardSigmoid or Clip}}
  %y = onnx.microsoft.FusedConv(%x, %w, %none, %none) {activation = "Cube"} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none, none) -> tensor<1x4x6x6xf32>
  return %y : tensor<1x4x6x6xf32>
}

// -----

func.func @rank(%x: tensor<*xf32>) -> tensor<*xf32> {
  // expected-error@+1 {{has an operand of type 'tensor<*xf32>'; run onnx-infer-shapes first}}
  %y = onnx.microsoft.Gelu(%x) : (tensor<*xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

func.func @statistics(%x: tensor<2x4xf32>, %g: tensor<4xf32>) -> tensor<2x1xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{result #1 is used, which is not supported for this operator}}
  %y, %m, %v, %s = onnx.microsoft.SkipSimplifiedLayerNormalization(%x, %x, %g, %none) : (tensor<2x4xf32>, tensor<2x4xf32>, tensor<4xf32>, none) -> (tensor<2x4xf32>, tensor<2x1xf32>, none, none)
  return %m : tensor<2x1xf32>
}
