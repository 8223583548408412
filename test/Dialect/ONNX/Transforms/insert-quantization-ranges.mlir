// RUN: nibble-opt %s --onnx-insert-quantization="scheme=W8A8 minimum-sqnr=0 calibration=%S/Inputs/ranges.yaml" | FileCheck %s

// The sum before a Relu is not rounded, and MaxPool gives one scale, 10.2 / 255,
// to what it reads and makes.

module attributes {nibble.model_hash = 0 : i64} {
func.func @main(%x: tensor<1x2x4x4xf32> {onnx.name = "x"}) -> tensor<1x2x2x2xf32> {
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<1.27> : tensor<2x2x1x1xf32>, onnx.name = "w"} : tensor<2x2x1x1xf32>
  %c1 = onnx.Conv(%x, %w, %none) {onnx.name = "c1"} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %r1 = onnx.Relu(%c1) {onnx.name = "r1"} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %p1, %i = onnx.MaxPool(%r1) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>, onnx.name = "p1"} : (tensor<1x2x4x4xf32>) -> (tensor<1x2x2x2xf32>, none)
  %c2 = onnx.Conv(%p1, %w, %none) {onnx.name = "c2"} : (tensor<1x2x2x2xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x2x2xf32>
  %y = onnx.Softmax(%c2) {axis = 1 : i64, onnx.name = "out"} : (tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>
  return %y : tensor<1x2x2x2xf32>
}
}

// CHECK-LABEL: func.func @main
// CHECK: %[[C1:.*]] = onnx.Conv
// CHECK-NEXT: %[[R1:.*]] = onnx.Relu(%[[C1]])
// CHECK: onnx.Constant {onnx.name = "r1_scale", value = dense<4.000000e-02> : tensor<f32>}
// CHECK: onnx.Constant {onnx.name = "r1_zero_point", value = dense<0> : tensor<ui8>}
// CHECK: onnx.QuantizeLinear(%[[R1]]
// CHECK: %[[P1:.*]], %{{.*}} = onnx.MaxPool(%{{.*}})
// CHECK: onnx.Constant {onnx.name = "p1_scale", value = dense<4.000000e-02> : tensor<f32>}
// CHECK: onnx.QuantizeLinear(%[[P1]]
// CHECK: %[[C2:.*]] = onnx.Conv
// CHECK-NEXT: onnx.Softmax(%[[C2]])
