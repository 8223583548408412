// RUN: nibble-opt %s --onnx-normalize-opset --verify-diagnostics

// An attribute that is neither of the newest definition nor of an older one that
// is rewritten is an error: ignoring it would change what the model computes.

module attributes {onnx.opset_version = 13 : i64} {
  func.func @misspelled(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
    // expected-error @below {{'onnx.LeakyRelu' op (layer 'leak') has attribute "alhpa", which this operator does not have in opset 13}}
    %0 = onnx.LeakyRelu(%x) {alhpa = 0.2 : f32, onnx.name = "leak"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    return %0 : tensor<2x3xf32>
  }

  func.func @rewritten(%x: tensor<2x3xf32>) -> tensor<1x2x3xf32> {
    %none = onnx.NoValue : none
    %0 = onnx.Unsqueeze(%x, %none) {axes = array<i64: 0>} : (tensor<2x3xf32>, none) -> tensor<1x2x3xf32>
    return %0 : tensor<1x2x3xf32>
  }
}
