// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @max_pool
// CHECK: onnx.MaxPool(%{{.*}}) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> (tensor<1x8x2x2xf32>, none)
func.func @max_pool(%x: tensor<1x8x4x4xf32>) -> tensor<1x8x2x2xf32> {
  %y, %i = onnx.MaxPool(%x) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> (tensor<1x8x2x2xf32>, none)
  return %y : tensor<1x8x2x2xf32>
}

// CHECK-LABEL: func @average_pool
// CHECK: onnx.AveragePool(%{{.*}}) {kernel_shape = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> tensor<1x8x3x3xf32>
func.func @average_pool(%x: tensor<1x8x4x4xf32>) -> tensor<1x8x3x3xf32> {
  %y = onnx.AveragePool(%x) {kernel_shape = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> tensor<1x8x3x3xf32>
  return %y : tensor<1x8x3x3xf32>
}

// CHECK-LABEL: func @lp_pool
// CHECK: onnx.LpPool(%{{.*}}) {kernel_shape = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> tensor<1x8x3x3xf32>
func.func @lp_pool(%x: tensor<1x8x4x4xf32>) -> tensor<1x8x3x3xf32> {
  %y = onnx.LpPool(%x) {kernel_shape = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>) -> tensor<1x8x3x3xf32>
  return %y : tensor<1x8x3x3xf32>
}

// CHECK-LABEL: func @global_average_pool
// CHECK: onnx.GlobalAveragePool(%{{.*}}) : (tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32>
func.func @global_average_pool(%x: tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32> {
  %y = onnx.GlobalAveragePool(%x) : (tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32>
  return %y : tensor<1x8x1x1xf32>
}

// CHECK-LABEL: func @global_max_pool
// CHECK: onnx.GlobalMaxPool(%{{.*}}) : (tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32>
func.func @global_max_pool(%x: tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32> {
  %y = onnx.GlobalMaxPool(%x) : (tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32>
  return %y : tensor<1x8x1x1xf32>
}

// CHECK-LABEL: func @global_lp_pool
// CHECK: onnx.GlobalLpPool(%{{.*}}) : (tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32>
func.func @global_lp_pool(%x: tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32> {
  %y = onnx.GlobalLpPool(%x) : (tensor<1x8x4x4xf32>) -> tensor<1x8x1x1xf32>
  return %y : tensor<1x8x1x1xf32>
}
