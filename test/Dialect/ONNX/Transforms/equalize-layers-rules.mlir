// RUN: split-file %s %t
// RUN: nibble-opt %t/m.mlir --onnx-equalize-layers="config=%t/all.yaml calibration=%S/Inputs/ranges.yaml" | FileCheck %s --check-prefix=ALL
// RUN: nibble-opt %t/m.mlir --onnx-equalize-layers="scheme=W8A8 config=%t/last.yaml calibration=%S/Inputs/ranges.yaml" | FileCheck %s --check-prefix=LAST
// RUN: nibble-opt %t/m.mlir --onnx-equalize-layers="scheme=W4A16 calibration=%S/Inputs/ranges.yaml" | FileCheck %s --check-prefix=NONE
// RUN: nibble-opt %t/m.mlir --onnx-equalize-layers="scheme=W8A8" | FileCheck %s --check-prefix=NONE

// Only what rules make W8A8 is equalized, up to the first layer that is not;
// LeakyRelu ends a chain, because what is before it is quantized, too.

//--- all.yaml
version: 1
rules:
  - layers: ["a", "b", "w3", "d"]
    scheme: W8A8

//--- last.yaml
version: 1
rules:
  - layers: "w3"
    scheme: W4A16

//--- m.mlir
func.func @main(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> {
  %w1 = onnx.Constant {value = dense<[[[[4.0]]], [[[1.0]]]]> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
  %w2 = onnx.Constant {value = dense<[[[[1.0]], [[-9.0]]]]> : tensor<1x2x1x1xf32>} : tensor<1x2x1x1xf32>
  %w3 = onnx.Constant {value = dense<7.0> : tensor<1x1x1x1xf32>, onnx.name = "w3"} : tensor<1x1x1x1xf32>
  %w4 = onnx.Constant {value = dense<5.0> : tensor<1x1x1x1xf32>} : tensor<1x1x1x1xf32>
  %none = onnx.NoValue : none
  %0 = onnx.Conv(%x, %w1, %none) {onnx.name = "a"} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %1 = onnx.Conv(%0, %w2, %none) {onnx.name = "b"} : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  %2 = onnx.Conv(%1, %w3, %none) {onnx.name = "c"} : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  %3 = onnx.LeakyRelu(%2) : (tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>
  %4 = onnx.Conv(%3, %w4, %none) {onnx.name = "d"} : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  return %4 : tensor<1x1x4x4xf32>
}

// ALL: onnx.Conv{{.*}}nibble.equalized{{.*}}onnx.name = "a"
// ALL: onnx.Conv{{.*}}nibble.equalized{{.*}}onnx.name = "b"
// ALL-NOT: nibble.equalized
// ALL: onnx.name = "d"

// LAST: onnx.name = "w3", value = dense<7.0
// LAST: nibble.equalized{{.*}}onnx.name = "a"
// LAST-NOT: nibble.equalized
// LAST: onnx.name = "d"

// NONE-NOT: nibble.equalized
// NONE: onnx.name = "d"
