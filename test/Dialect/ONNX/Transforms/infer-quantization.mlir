// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @quantize_linear(
// CHECK-SAME: -> tensor<2x3xui8> {
func.func @quantize_linear(%x: tensor<2x3xf32>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<*x!onnx.unknown> {
  %q = onnx.QuantizeLinear(%x, %s, %z) : (tensor<2x3xf32>, tensor<f32>, tensor<ui8>) -> tensor<*x!onnx.unknown>
  return %q : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @dequantize_linear(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @dequantize_linear(%q: tensor<2x3xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<*x!onnx.unknown> {
  %x = onnx.DequantizeLinear(%q, %s, %z) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<*x!onnx.unknown>
  return %x : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @dynamic_quantize_linear(
// CHECK-SAME: -> (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) {
func.func @dynamic_quantize_linear(%x: tensor<2x3xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>) {
  %q, %s, %z = onnx.DynamicQuantizeLinear(%x) : (tensor<2x3xf32>) -> (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>)
  return %q, %s, %z : tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @mat_mul_integer(
// CHECK-SAME: -> tensor<2x4xi32> {
func.func @mat_mul_integer(%a: tensor<2x3xui8>, %b: tensor<3x4xi8>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y = onnx.MatMulInteger(%a, %b, %none, %none) : (tensor<2x3xui8>, tensor<3x4xi8>, none, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @qlinear_mat_mul(
// CHECK-SAME: -> tensor<2x4xui8> {
func.func @qlinear_mat_mul(%a: tensor<2x3xui8>, %as: tensor<f32>, %az: tensor<ui8>, %b: tensor<3x4xui8>, %bs: tensor<f32>, %bz: tensor<ui8>, %ys: tensor<f32>, %yz: tensor<ui8>) -> tensor<*x!onnx.unknown> {
  %y = onnx.QLinearMatMul(%a, %as, %az, %b, %bs, %bz, %ys, %yz) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<3x4xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
