// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @equal
// CHECK: onnx.Equal(%{{.*}}, %{{.*}}) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
func.func @equal(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<4x3xi1> {
  %c = onnx.Equal(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
  return %c : tensor<4x3xi1>
}

// CHECK-LABEL: func @less
// CHECK: onnx.Less(%{{.*}}, %{{.*}}) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
func.func @less(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<4x3xi1> {
  %c = onnx.Less(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
  return %c : tensor<4x3xi1>
}

// CHECK-LABEL: func @greater
// CHECK: onnx.Greater(%{{.*}}, %{{.*}}) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
func.func @greater(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<4x3xi1> {
  %c = onnx.Greater(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
  return %c : tensor<4x3xi1>
}

// CHECK-LABEL: func @less_or_equal
// CHECK: onnx.LessOrEqual(%{{.*}}, %{{.*}}) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
func.func @less_or_equal(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<4x3xi1> {
  %c = onnx.LessOrEqual(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
  return %c : tensor<4x3xi1>
}

// CHECK-LABEL: func @greater_or_equal
// CHECK: onnx.GreaterOrEqual(%{{.*}}, %{{.*}}) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
func.func @greater_or_equal(%a: tensor<4x1xf32>, %b: tensor<3xf32>) -> tensor<4x3xi1> {
  %c = onnx.GreaterOrEqual(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
  return %c : tensor<4x3xi1>
}

// CHECK-LABEL: func @where
// CHECK: onnx.Where(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<2x3xi1>, tensor<3xf32>, tensor<f32>) -> tensor<2x3xf32>
func.func @where(%c: tensor<2x3xi1>, %x: tensor<3xf32>, %y: tensor<f32>) -> tensor<2x3xf32> {
  %z = onnx.Where(%c, %x, %y) : (tensor<2x3xi1>, tensor<3xf32>, tensor<f32>) -> tensor<2x3xf32>
  return %z : tensor<2x3xf32>
}
