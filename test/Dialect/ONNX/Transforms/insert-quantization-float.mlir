// RUN: nibble-opt %s --verify-diagnostics --onnx-insert-quantization="scheme=W8A8 calibration=%S/Inputs/ranges.yaml" | FileCheck %s

// A product is not quantized whose input has no range, and none whose output
// would drown in the noise of its rounded input.

module attributes {nibble.model_hash = 0 : i64} {
func.func @main(%x: tensor<1x2x4x4xf32> {onnx.name = "unseen"}) -> tensor<1x2x4x4xf32> {
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<1.27> : tensor<2x2x1x1xf32>} : tensor<2x2x1x1xf32>
  // expected-remark@+1 {{layer "c1" computes in floats: the statistics have no range of its input "unseen"}}
  %c1 = onnx.Conv(%x, %w, %none) {onnx.name = "c1"} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  // c1 reaches from -8 to 10.2, with mean squares of 2 and 20 after it.
  %tiny = onnx.Constant {value = dense<[[[[1.0]], [[0.001]]], [[[1.0]], [[0.001]]]]> : tensor<2x2x1x1xf32>} : tensor<2x2x1x1xf32>
  // expected-remark@+1 {{layer "faint" computes in floats: 8 bits of its input would leave its output 19.7 dB above the noise, less than the 30.0 dB of minimum-sqnr}}
  %y = onnx.Conv(%c1, %tiny, %none) {onnx.name = "faint"} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}
}

// CHECK-NOT: QuantizeLinear
// CHECK: onnx.Conv{{.*}}nibble.report = {{.*}}reason = "the statistics have no range of its input \22unseen\22"
// CHECK-NOT: QuantizeLinear
