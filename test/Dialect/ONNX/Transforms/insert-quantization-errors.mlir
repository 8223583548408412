// RUN: not nibble-opt %s --onnx-insert-quantization="scheme=W8A8" 2>&1 | FileCheck %s --check-prefix=DATA
// RUN: not nibble-opt %s --onnx-insert-quantization="scheme=W8A8 calibration=%S/Inputs/other.yaml" 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: not nibble-opt %s --onnx-insert-quantization="scheme=W8A8 symmetric=false calibration=%S/Inputs/ranges.yaml" 2>&1 | FileCheck %s --check-prefix=ASYMMETRIC
// RUN: not nibble-opt %s --onnx-insert-quantization="scheme=W8A8 method=gptq calibration=%S/Inputs/ranges.yaml" 2>&1 | FileCheck %s --check-prefix=METHOD
// RUN: not nibble-opt %s --onnx-insert-quantization="scheme=W8A8 activation-type=int4 calibration=%S/Inputs/ranges.yaml" 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: nibble-opt %s --onnx-insert-quantization="scheme=W4A16" | FileCheck %s --check-prefix=NONE

// What W8A8 can't do is said before anything is done.

// DATA: error: layer "c1" is to become W8A8, which needs the ranges of activations: give --calibration=STATS, a file that nibble-calibrate writes
// OTHER: error: {{.*}}other
// ASYMMETRIC: error: layer "c1": weights of W8A8 are symmetric: asymmetric codes are for schemes of weights alone
// METHOD: error: layer "c1": method 'gptq' does not make W8A8 weights: expected rtn
// TYPE: error: unknown activation type 'int4': expected uint8 or int8
// NONE-NOT: QuantizeLinear

module attributes {nibble.model_hash = 0 : i64} {
func.func @main(%x: tensor<1x2x4x4xf32> {onnx.name = "x"}) -> tensor<1x2x4x4xf32> {
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<1.27> : tensor<2x2x1x1xf32>} : tensor<2x2x1x1xf32>
  %c1 = onnx.Conv(%x, %w, %none) {onnx.name = "c1"} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  return %c1 : tensor<1x2x4x4xf32>
}
}
