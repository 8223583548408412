// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Only the axes that change have tables of positions; the elements are moved.
// CHECK-LABEL: func.func @nearest
// CHECK-COUNT-2: tensor.empty() : tensor<8x1xi64>
// CHECK-NOT: tensor.empty() : tensor<{{.*}}xi64>
// CHECK: tensor.empty() : tensor<1x2x8x8xf32>
// CHECK: tensor.extract
// CHECK-NOT: arith.mulf
// CHECK: return
func.func @nearest(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x8x8xf32> {
  %none = onnx.NoValue : none
  %s = onnx.Constant {value = dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>} : tensor<4xf32>
  %0 = onnx.Resize(%x, %none, %s, %none) {mode = "nearest"} : (tensor<1x2x4x4xf32>, none, tensor<4xf32>, none) -> tensor<1x2x8x8xf32>
  return %0 : tensor<1x2x8x8xf32>
}

// -----

// Two taps, one axis after the other.
// CHECK-LABEL: func.func @linear
// CHECK: tensor.empty() : tensor<8x2xi64>
// CHECK: tensor.empty() : tensor<8x2xf32>
// CHECK: tensor.empty() : tensor<1x2x8x4xf32>
// CHECK: tensor.empty() : tensor<1x2x8x8xf32>
func.func @linear(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x8x8xf32> {
  %none = onnx.NoValue : none
  %s = onnx.Constant {value = dense<[1, 2, 8, 8]> : tensor<4xi64>} : tensor<4xi64>
  %0 = onnx.Resize(%x, %none, %none, %s) {mode = "linear"} : (tensor<1x2x4x4xf32>, none, none, tensor<4xi64>) -> tensor<1x2x8x8xf32>
  return %0 : tensor<1x2x8x8xf32>
}
