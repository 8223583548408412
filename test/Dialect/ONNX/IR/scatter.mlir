// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @scatter
// CHECK: onnx.Scatter(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<3x3xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<3x3xf32>
func.func @scatter(%x: tensor<3x3xf32>, %i: tensor<2x3xi64>, %u: tensor<2x3xf32>) -> tensor<3x3xf32> {
  %y = onnx.Scatter(%x, %i, %u) : (tensor<3x3xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<3x3xf32>
  return %y : tensor<3x3xf32>
}

// CHECK-LABEL: func @scatter_elements
// CHECK: onnx.ScatterElements(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<3x3xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<3x3xf32>
func.func @scatter_elements(%x: tensor<3x3xf32>, %i: tensor<2x3xi64>, %u: tensor<2x3xf32>) -> tensor<3x3xf32> {
  %y = onnx.ScatterElements(%x, %i, %u) : (tensor<3x3xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<3x3xf32>
  return %y : tensor<3x3xf32>
}

// CHECK-LABEL: func @scatter_nd
// CHECK: onnx.ScatterND(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<4x4xf32>, tensor<2x1xi64>, tensor<2x4xf32>) -> tensor<4x4xf32>
func.func @scatter_nd(%x: tensor<4x4xf32>, %i: tensor<2x1xi64>, %u: tensor<2x4xf32>) -> tensor<4x4xf32> {
  %y = onnx.ScatterND(%x, %i, %u) : (tensor<4x4xf32>, tensor<2x1xi64>, tensor<2x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// CHECK-LABEL: func @tensor_scatter
// CHECK: onnx.TensorScatter(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<1x4x64x8xf32>, tensor<1x4x1x8xf32>, tensor<1xi64>) -> tensor<1x4x64x8xf32>
func.func @tensor_scatter(%cache: tensor<1x4x64x8xf32>, %new: tensor<1x4x1x8xf32>, %at: tensor<1xi64>) -> tensor<1x4x64x8xf32> {
  %y = onnx.TensorScatter(%cache, %new, %at) : (tensor<1x4x64x8xf32>, tensor<1x4x1x8xf32>, tensor<1xi64>) -> tensor<1x4x64x8xf32>
  return %y : tensor<1x4x64x8xf32>
}
