// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @reshape
// CHECK: onnx.Reshape(%{{.*}}, %{{.*}}) : (tensor<?x3x4xf32>, tensor<2xi64>) -> tensor<?x12xf32>
func.func @reshape(%x: tensor<?x3x4xf32>, %shape: tensor<2xi64>) -> tensor<?x12xf32> {
  %y = onnx.Reshape(%x, %shape) : (tensor<?x3x4xf32>, tensor<2xi64>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// CHECK-LABEL: func @flatten
// CHECK: onnx.Flatten(%{{.*}}) : (tensor<?x3x4xf32>) -> tensor<?x12xf32>
func.func @flatten(%x: tensor<?x3x4xf32>) -> tensor<?x12xf32> {
  %y = onnx.Flatten(%x) : (tensor<?x3x4xf32>) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// CHECK-LABEL: func @squeeze
// CHECK: onnx.Squeeze(%{{.*}}, %{{.*}}) : (tensor<1x3x1xf32>, tensor<1xi64>) -> tensor<3x1xf32>
func.func @squeeze(%x: tensor<1x3x1xf32>, %axes: tensor<1xi64>) -> tensor<3x1xf32> {
  %y = onnx.Squeeze(%x, %axes) : (tensor<1x3x1xf32>, tensor<1xi64>) -> tensor<3x1xf32>
  return %y : tensor<3x1xf32>
}

// CHECK-LABEL: func @unsqueeze
// CHECK: onnx.Unsqueeze(%{{.*}}, %{{.*}}) : (tensor<3xf32>, tensor<1xi64>) -> tensor<1x3xf32>
func.func @unsqueeze(%x: tensor<3xf32>, %axes: tensor<1xi64>) -> tensor<1x3xf32> {
  %y = onnx.Unsqueeze(%x, %axes) : (tensor<3xf32>, tensor<1xi64>) -> tensor<1x3xf32>
  return %y : tensor<1x3xf32>
}

// CHECK-LABEL: func @expand
// CHECK: onnx.Expand(%{{.*}}, %{{.*}}) : (tensor<3x1xf32>, tensor<2xi64>) -> tensor<3x4xf32>
func.func @expand(%x: tensor<3x1xf32>, %shape: tensor<2xi64>) -> tensor<3x4xf32> {
  %y = onnx.Expand(%x, %shape) : (tensor<3x1xf32>, tensor<2xi64>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// CHECK-LABEL: func @tile
// CHECK: onnx.Tile(%{{.*}}, %{{.*}}) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<4x9xf32>
func.func @tile(%x: tensor<2x3xf32>, %repeats: tensor<2xi64>) -> tensor<4x9xf32> {
  %y = onnx.Tile(%x, %repeats) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<4x9xf32>
  return %y : tensor<4x9xf32>
}
