// A product that stays in floats although its input is quantized says why.
// RUN: nibble-opt %s -split-input-file -verify-diagnostics -convert-onnx-integers-to-nibble

func.func @wide(%x: tensor<2x3xui16>, %w: tensor<3x4xi8>, %s: tensor<f32>, %z: tensor<ui16>) -> tensor<2x4xf32> {
  %none = onnx.NoValue : none
  %a = onnx.DequantizeLinear(%x, %s, %z) : (tensor<2x3xui16>, tensor<f32>, tensor<ui16>) -> tensor<2x3xf32>
  %b = onnx.DequantizeLinear(%w, %s, %none) : (tensor<3x4xi8>, tensor<f32>, none) -> tensor<3x4xf32>
  // expected-remark@+1 {{layer "fc" computes in floats: the input has codes of type ui16, not of 8 bits}}
  %y = onnx.MatMul(%a, %b) {onnx.name = "fc"} : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

func.func @float_weight(%x: tensor<2x3xi8>, %w: tensor<3x4xf32>, %s: tensor<f32>) -> tensor<2x4xf32> {
  %none = onnx.NoValue : none
  %a = onnx.DequantizeLinear(%x, %s, %none) : (tensor<2x3xi8>, tensor<f32>, none) -> tensor<2x3xf32>
  // expected-remark@+1 {{layer "fc" computes in floats: the other operand is not quantized}}
  %y = onnx.MatMul(%a, %w) {onnx.name = "fc"} : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

func.func @per_row(%x: tensor<2x3xi8>, %w: tensor<3x4xi8>, %s: tensor<2xf32>, %t: tensor<f32>) -> tensor<2x4xf32> {
  %none = onnx.NoValue : none
  %a = onnx.DequantizeLinear(%x, %s, %none) {axis = 0 : i64} : (tensor<2x3xi8>, tensor<2xf32>, none) -> tensor<2x3xf32>
  %b = onnx.DequantizeLinear(%w, %t, %none) : (tensor<3x4xi8>, tensor<f32>, none) -> tensor<3x4xf32>
  // expected-remark@+1 {{layer "fc" computes in floats: the input has more than one scale}}
  %y = onnx.MatMul(%a, %b) {onnx.name = "fc"} : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// Codes of a weight alone are what weight-only quantization means.
func.func @weight_only(%x: tensor<2x3xf32>, %w: tensor<3x4xi8>, %s: tensor<f32>) -> tensor<2x4xf32> {
  %none = onnx.NoValue : none
  %b = onnx.DequantizeLinear(%w, %s, %none) : (tensor<3x4xi8>, tensor<f32>, none) -> tensor<3x4xf32>
  %y = onnx.MatMul(%x, %b) {onnx.name = "fc"} : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
