// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @bitwise_not
// CHECK: onnx.BitwiseNot(%{{.*}}) : (tensor<2x3xi32>) -> tensor<2x3xi32>
func.func @bitwise_not(%x: tensor<2x3xi32>) -> tensor<2x3xi32> {
  %y = onnx.BitwiseNot(%x) : (tensor<2x3xi32>) -> tensor<2x3xi32>
  return %y : tensor<2x3xi32>
}

// CHECK-LABEL: func @bitwise_and
// CHECK: onnx.BitwiseAnd(%{{.*}}, %{{.*}}) : (tensor<4x1xi32>, tensor<3xi32>) -> tensor<4x3xi32>
func.func @bitwise_and(%a: tensor<4x1xi32>, %b: tensor<3xi32>) -> tensor<4x3xi32> {
  %c = onnx.BitwiseAnd(%a, %b) : (tensor<4x1xi32>, tensor<3xi32>) -> tensor<4x3xi32>
  return %c : tensor<4x3xi32>
}

// CHECK-LABEL: func @bitwise_or
// CHECK: onnx.BitwiseOr(%{{.*}}, %{{.*}}) : (tensor<4x1xi32>, tensor<3xi32>) -> tensor<4x3xi32>
func.func @bitwise_or(%a: tensor<4x1xi32>, %b: tensor<3xi32>) -> tensor<4x3xi32> {
  %c = onnx.BitwiseOr(%a, %b) : (tensor<4x1xi32>, tensor<3xi32>) -> tensor<4x3xi32>
  return %c : tensor<4x3xi32>
}

// CHECK-LABEL: func @bitwise_xor
// CHECK: onnx.BitwiseXor(%{{.*}}, %{{.*}}) : (tensor<4x1xi32>, tensor<3xi32>) -> tensor<4x3xi32>
func.func @bitwise_xor(%a: tensor<4x1xi32>, %b: tensor<3xi32>) -> tensor<4x3xi32> {
  %c = onnx.BitwiseXor(%a, %b) : (tensor<4x1xi32>, tensor<3xi32>) -> tensor<4x3xi32>
  return %c : tensor<4x3xi32>
}

// CHECK-LABEL: func @bit_shift
// CHECK: onnx.BitShift(%{{.*}}, %{{.*}}) {direction = "LEFT"} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
func.func @bit_shift(%x: tensor<4xui8>, %y: tensor<4xui8>) -> tensor<4xui8> {
  %z = onnx.BitShift(%x, %y) {direction = "LEFT"} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  return %z : tensor<4xui8>
}

// CHECK-LABEL: func @not
// CHECK: onnx.Not(%{{.*}}) : (tensor<2x3xi1>) -> tensor<2x3xi1>
func.func @not(%x: tensor<2x3xi1>) -> tensor<2x3xi1> {
  %y = onnx.Not(%x) : (tensor<2x3xi1>) -> tensor<2x3xi1>
  return %y : tensor<2x3xi1>
}

// CHECK-LABEL: func @and
// CHECK: onnx.And(%{{.*}}, %{{.*}}) : (tensor<4x1xi1>, tensor<3xi1>) -> tensor<4x3xi1>
func.func @and(%a: tensor<4x1xi1>, %b: tensor<3xi1>) -> tensor<4x3xi1> {
  %c = onnx.And(%a, %b) : (tensor<4x1xi1>, tensor<3xi1>) -> tensor<4x3xi1>
  return %c : tensor<4x3xi1>
}

// CHECK-LABEL: func @or
// CHECK: onnx.Or(%{{.*}}, %{{.*}}) : (tensor<4x1xi1>, tensor<3xi1>) -> tensor<4x3xi1>
func.func @or(%a: tensor<4x1xi1>, %b: tensor<3xi1>) -> tensor<4x3xi1> {
  %c = onnx.Or(%a, %b) : (tensor<4x1xi1>, tensor<3xi1>) -> tensor<4x3xi1>
  return %c : tensor<4x3xi1>
}

// CHECK-LABEL: func @xor
// CHECK: onnx.Xor(%{{.*}}, %{{.*}}) : (tensor<4x1xi1>, tensor<3xi1>) -> tensor<4x3xi1>
func.func @xor(%a: tensor<4x1xi1>, %b: tensor<3xi1>) -> tensor<4x3xi1> {
  %c = onnx.Xor(%a, %b) : (tensor<4x1xi1>, tensor<3xi1>) -> tensor<4x3xi1>
  return %c : tensor<4x3xi1>
}
