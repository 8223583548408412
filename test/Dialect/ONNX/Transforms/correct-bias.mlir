// RUN: nibble-opt %s --onnx-correct-bias="calibration=%S/Inputs/ranges.yaml" | FileCheck %s
// RUN: nibble-opt %s --onnx-correct-bias="enable=false" | FileCheck %s --check-prefix=OFF

// The inputs of c1 have the means 0.5 and 2. Rounding adds 0.125 to the first
// weight of row 0 and -0.25 to the second: a mean of -0.4375, which 44 steps of
// 0.01 take back.

module attributes {nibble.model_hash = 0 : i64} {
func.func @main(%x: tensor<1x2x4x4xf32> {onnx.name = "x"}) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<[[[[2]], [[-3]]]]> : tensor<1x2x1x1xi8>, nibble.float_value = dense<[[[[0.875]], [[-1.25]]]]> : tensor<1x2x1x1xf32>} : tensor<1x2x1x1xi8>
  %ws = onnx.Constant {value = dense<0.5> : tensor<1xf32>} : tensor<1xf32>
  %b = onnx.Constant {value = dense<100> : tensor<1xi32>, onnx.name = "b"} : tensor<1xi32>
  %bs = onnx.Constant {value = dense<0.01> : tensor<1xf32>} : tensor<1xf32>
  %wf = onnx.DequantizeLinear(%w, %ws, %none) {axis = 0 : i64} : (tensor<1x2x1x1xi8>, tensor<1xf32>, none) -> tensor<1x2x1x1xf32>
  %bf = onnx.DequantizeLinear(%b, %bs, %none) {axis = 0 : i64} : (tensor<1xi32>, tensor<1xf32>, none) -> tensor<1xf32>
  %y = onnx.Conv(%x, %wf, %bf) {onnx.name = "c1"} : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, tensor<1xf32>) -> tensor<1x1x4x4xf32>
  return %y : tensor<1x1x4x4xf32>
}
}

// CHECK-NOT: float_value
// CHECK: %[[B:.*]] = onnx.Constant {onnx.name = "b", value = dense<144> : tensor<1xi32>}
// CHECK: onnx.DequantizeLinear(%[[B]]
// OFF-NOT: float_value
// OFF: dense<100> : tensor<1xi32>
