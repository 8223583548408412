// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @relu
// CHECK: onnx.Relu(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @relu(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Relu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @leaky_relu
// CHECK: onnx.LeakyRelu(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @leaky_relu(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.LeakyRelu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @prelu
// CHECK: onnx.PRelu(%{{.*}}, %{{.*}}) : (tensor<1x8x4xf32>, tensor<8x1xf32>) -> tensor<1x8x4xf32>
func.func @prelu(%x: tensor<1x8x4xf32>, %slope: tensor<8x1xf32>) -> tensor<1x8x4xf32> {
  %y = onnx.PRelu(%x, %slope) : (tensor<1x8x4xf32>, tensor<8x1xf32>) -> tensor<1x8x4xf32>
  return %y : tensor<1x8x4xf32>
}

// CHECK-LABEL: func @elu
// CHECK: onnx.Elu(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @elu(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Elu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @selu
// CHECK: onnx.Selu(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @selu(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Selu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @celu
// CHECK: onnx.Celu(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @celu(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Celu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @thresholded_relu
// CHECK: onnx.ThresholdedRelu(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @thresholded_relu(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.ThresholdedRelu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @clip
// CHECK: onnx.Clip(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<4xf32>, tensor<f32>, none) -> tensor<4xf32>
func.func @clip(%x: tensor<4xf32>, %lo: tensor<f32>) -> tensor<4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Clip(%x, %lo, %none) : (tensor<4xf32>, tensor<f32>, none) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
