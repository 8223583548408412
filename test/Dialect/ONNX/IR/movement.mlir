// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @transpose
// CHECK: onnx.Transpose(%{{.*}}) {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
func.func @transpose(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %y = onnx.Transpose(%x) {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %y : tensor<3x2xf32>
}

// CHECK-LABEL: func @concat
// CHECK: onnx.Concat(%{{.*}}, %{{.*}}) {axis = 0 : i64} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<6x3xf32>
func.func @concat(%a: tensor<2x3xf32>, %b: tensor<4x3xf32>) -> tensor<6x3xf32> {
  %y = onnx.Concat(%a, %b) {axis = 0 : i64} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<6x3xf32>
  return %y : tensor<6x3xf32>
}

// CHECK-LABEL: func @split
// CHECK: onnx.Split(%{{.*}}, %{{.*}}) {num_outputs = 2 : i64} : (tensor<6x3xf32>, none) -> (tensor<3x3xf32>, tensor<3x3xf32>)
func.func @split(%x: tensor<6x3xf32>) -> tensor<3x3xf32> {
  %none = onnx.NoValue : none
  %a, %b = onnx.Split(%x, %none) {num_outputs = 2 : i64} : (tensor<6x3xf32>, none) -> (tensor<3x3xf32>, tensor<3x3xf32>)
  return %a : tensor<3x3xf32>
}

// CHECK-LABEL: func @slice
// CHECK: onnx.Slice(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<9x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<4x3xf32>
func.func @slice(%x: tensor<9x3xf32>, %starts: tensor<1xi64>, %ends: tensor<1xi64>, %axes: tensor<1xi64>) -> tensor<4x3xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Slice(%x, %starts, %ends, %axes, %none) : (tensor<9x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// CHECK-LABEL: func @pad
// CHECK: onnx.Pad(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<2x3xf32>, tensor<4xi64>, none, none) -> tensor<4x3xf32>
func.func @pad(%x: tensor<2x3xf32>, %pads: tensor<4xi64>) -> tensor<4x3xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Pad(%x, %pads, %none, %none) : (tensor<2x3xf32>, tensor<4xi64>, none, none) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// CHECK-LABEL: func @depth_to_space
// CHECK: onnx.DepthToSpace(%{{.*}}) {blocksize = 2 : i64} : (tensor<1x8x3x3xf32>) -> tensor<1x2x6x6xf32>
func.func @depth_to_space(%x: tensor<1x8x3x3xf32>) -> tensor<1x2x6x6xf32> {
  %y = onnx.DepthToSpace(%x) {blocksize = 2 : i64} : (tensor<1x8x3x3xf32>) -> tensor<1x2x6x6xf32>
  return %y : tensor<1x2x6x6xf32>
}

// CHECK-LABEL: func @space_to_depth
// CHECK: onnx.SpaceToDepth(%{{.*}}) {blocksize = 2 : i64} : (tensor<1x2x6x6xf32>) -> tensor<1x8x3x3xf32>
func.func @space_to_depth(%x: tensor<1x2x6x6xf32>) -> tensor<1x8x3x3xf32> {
  %y = onnx.SpaceToDepth(%x) {blocksize = 2 : i64} : (tensor<1x2x6x6xf32>) -> tensor<1x8x3x3xf32>
  return %y : tensor<1x8x3x3xf32>
}

// CHECK-LABEL: func @reverse_sequence
// CHECK: onnx.ReverseSequence(%{{.*}}, %{{.*}}) : (tensor<5x2xf32>, tensor<2xi64>) -> tensor<5x2xf32>
func.func @reverse_sequence(%x: tensor<5x2xf32>, %lens: tensor<2xi64>) -> tensor<5x2xf32> {
  %y = onnx.ReverseSequence(%x, %lens) : (tensor<5x2xf32>, tensor<2xi64>) -> tensor<5x2xf32>
  return %y : tensor<5x2xf32>
}
