// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @add
// CHECK: onnx.Add(%{{.*}}, %{{.*}}) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xf32>
func.func @add(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<4x3xf32> {
  %c = onnx.Add(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xf32>
  return %c : tensor<4x3xf32>
}

// CHECK-LABEL: func @sub
// CHECK: onnx.Sub(%{{.*}}, %{{.*}}) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xf32>
func.func @sub(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<4x3xf32> {
  %c = onnx.Sub(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xf32>
  return %c : tensor<4x3xf32>
}

// CHECK-LABEL: func @mul
// CHECK: onnx.Mul(%{{.*}}, %{{.*}}) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xf32>
func.func @mul(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<4x3xf32> {
  %c = onnx.Mul(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xf32>
  return %c : tensor<4x3xf32>
}

// CHECK-LABEL: func @div
// CHECK: onnx.Div(%{{.*}}, %{{.*}}) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xf32>
func.func @div(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<4x3xf32> {
  %c = onnx.Div(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xf32>
  return %c : tensor<4x3xf32>
}

// CHECK-LABEL: func @pow
// CHECK: onnx.Pow(%{{.*}}, %{{.*}}) : (tensor<2x3xf32>, tensor<i64>) -> tensor<2x3xf32>
func.func @pow(%x: tensor<2x3xf32>, %y: tensor<i64>) -> tensor<2x3xf32> {
  %z = onnx.Pow(%x, %y) : (tensor<2x3xf32>, tensor<i64>) -> tensor<2x3xf32>
  return %z : tensor<2x3xf32>
}

// CHECK-LABEL: func @mod
// CHECK: onnx.Mod(%{{.*}}, %{{.*}}) {fmod = 1 : i64} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
func.func @mod(%a: tensor<4xf32>, %b: tensor<f32>) -> tensor<4xf32> {
  %c = onnx.Mod(%a, %b) {fmod = 1 : i64} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %c : tensor<4xf32>
}
