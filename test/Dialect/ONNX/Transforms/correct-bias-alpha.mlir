// RUN: nibble-opt %s --onnx-insert-quantization="scheme=W8A8 minimum-sqnr=0 calibration=%S/Inputs/ranges.yaml" --onnx-correct-bias="calibration=%S/Inputs/ranges.yaml" | FileCheck %s

// alpha = 2 goes into the scale of the codes, and counts for the weight that
// they are compared with: 0.006 becomes 0.01, twice that error times the mean 2
// is 0.016, which 40 steps of 0.02 * 0.01 * 2 take back from 2500.

module attributes {nibble.model_hash = 0 : i64} {
func.func @main(%x: tensor<3x2xf32> {onnx.name = "x"}) -> tensor<3x1xf32> {
  %w = onnx.Constant {value = dense<[[1.27], [0.006]]> : tensor<2x1xf32>, onnx.name = "w"} : tensor<2x1xf32>
  %b = onnx.Constant {value = dense<1.0> : tensor<1xf32>, onnx.name = "b"} : tensor<1xf32>
  %y = onnx.Gemm(%x, %w, %b) {alpha = 2.0 : f32, onnx.name = "gemm"} : (tensor<3x2xf32>, tensor<2x1xf32>, tensor<1xf32>) -> tensor<3x1xf32>
  return %y : tensor<3x1xf32>
}
}

// CHECK-NOT: float_factor
// CHECK-DAG: onnx.name = "w_quantized", value = dense<{{\[\[}}127], [1]]> : tensor<2x1xi8>
// CHECK-DAG: onnx.name = "w_scale", value = dense<2.000000e-02> : tensor<1xf32>
// CHECK-DAG: onnx.name = "b_quantized", value = dense<2460> : tensor<1xi32>
// CHECK: onnx.Gemm
