// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @bitwise_not(
// CHECK-SAME: -> tensor<2x3xi32> {
func.func @bitwise_not(%x: tensor<2x3xi32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.BitwiseNot(%x) : (tensor<2x3xi32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @bitwise_and(
// CHECK-SAME: -> tensor<4x3xi32> {
func.func @bitwise_and(%a: tensor<4x1xi32>, %b: tensor<3xi32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.BitwiseAnd(%a, %b) : (tensor<4x1xi32>, tensor<3xi32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @bitwise_or(
// CHECK-SAME: -> tensor<4x3xi32> {
func.func @bitwise_or(%a: tensor<4x1xi32>, %b: tensor<3xi32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.BitwiseOr(%a, %b) : (tensor<4x1xi32>, tensor<3xi32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @bitwise_xor(
// CHECK-SAME: -> tensor<4x3xi32> {
func.func @bitwise_xor(%a: tensor<4x1xi32>, %b: tensor<3xi32>) -> tensor<*x!onnx.unknown> {
  %c = onnx.BitwiseXor(%a, %b) : (tensor<4x1xi32>, tensor<3xi32>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @bit_shift(
// CHECK-SAME: -> tensor<4xui8> {
func.func @bit_shift(%x: tensor<4xui8>, %y: tensor<4xui8>) -> tensor<*x!onnx.unknown> {
  %z = onnx.BitShift(%x, %y) {direction = "LEFT"} : (tensor<4xui8>, tensor<4xui8>) -> tensor<*x!onnx.unknown>
  return %z : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @not(
// CHECK-SAME: -> tensor<2x3xi1> {
func.func @not(%x: tensor<2x3xi1>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Not(%x) : (tensor<2x3xi1>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @and(
// CHECK-SAME: -> tensor<4x3xi1> {
func.func @and(%a: tensor<4x1xi1>, %b: tensor<3xi1>) -> tensor<*x!onnx.unknown> {
  %c = onnx.And(%a, %b) : (tensor<4x1xi1>, tensor<3xi1>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @or(
// CHECK-SAME: -> tensor<4x3xi1> {
func.func @or(%a: tensor<4x1xi1>, %b: tensor<3xi1>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Or(%a, %b) : (tensor<4x1xi1>, tensor<3xi1>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @xor(
// CHECK-SAME: -> tensor<4x3xi1> {
func.func @xor(%a: tensor<4x1xi1>, %b: tensor<3xi1>) -> tensor<*x!onnx.unknown> {
  %c = onnx.Xor(%a, %b) : (tensor<4x1xi1>, tensor<3xi1>) -> tensor<*x!onnx.unknown>
  return %c : tensor<*x!onnx.unknown>
}
