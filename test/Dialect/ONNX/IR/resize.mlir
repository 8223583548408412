// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @resize
// CHECK: onnx.Resize(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {mode = "linear"} : (tensor<1x3x4x4xf32>, none, tensor<4xf32>, none) -> tensor<1x3x8x8xf32>
func.func @resize(%x: tensor<1x3x4x4xf32>, %scales: tensor<4xf32>) -> tensor<1x3x8x8xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Resize(%x, %none, %scales, %none) {mode = "linear"} : (tensor<1x3x4x4xf32>, none, tensor<4xf32>, none) -> tensor<1x3x8x8xf32>
  return %y : tensor<1x3x8x8xf32>
}

// CHECK-LABEL: func @upsample
// CHECK: onnx.Upsample(%{{.*}}, %{{.*}}) : (tensor<1x3x4x4xf32>, tensor<4xf32>) -> tensor<1x3x8x8xf32>
func.func @upsample(%x: tensor<1x3x4x4xf32>, %scales: tensor<4xf32>) -> tensor<1x3x8x8xf32> {
  %y = onnx.Upsample(%x, %scales) : (tensor<1x3x4x4xf32>, tensor<4xf32>) -> tensor<1x3x8x8xf32>
  return %y : tensor<1x3x8x8xf32>
}
