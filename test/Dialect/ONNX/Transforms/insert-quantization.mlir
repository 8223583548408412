// RUN: nibble-opt %s --onnx-insert-quantization="scheme=W8A8 minimum-sqnr=0 calibration=%S/Inputs/ranges.yaml" | FileCheck %s

// The input of a product is quantized, its weight is codes per output channel,
// its bias integers in steps of both scales. The result of the last product
// stays float.

module attributes {nibble.model_hash = 0 : i64} {
func.func @main(%x: tensor<1x2x4x4xf32> {onnx.name = "x"}) -> tensor<1x2x4x4xf32> {
  %w = onnx.Constant {value = dense<[[[[1.27]], [[-0.635]]], [[[0.0]], [[2.54]]]]> : tensor<2x2x1x1xf32>, onnx.name = "w"} : tensor<2x2x1x1xf32>
  %b = onnx.Constant {value = dense<[1.0, -0.5]> : tensor<2xf32>, onnx.name = "b"} : tensor<2xf32>
  %y = onnx.Conv(%x, %w, %b) {onnx.name = "c1"} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}
}

// CHECK-LABEL: func.func @main
// CHECK-DAG: %[[XS:.*]] = onnx.Constant {onnx.name = "x_scale", value = dense<2.000000e-02> : tensor<f32>}
// CHECK-DAG: %[[XZ:.*]] = onnx.Constant {onnx.name = "x_zero_point", value = dense<50> : tensor<ui8>}
// CHECK-DAG: %[[Q:.*]] = onnx.QuantizeLinear(%arg0, %[[XS]], %[[XZ]])
// CHECK-DAG: %[[X:.*]] = onnx.DequantizeLinear(%[[Q]], %[[XS]], %[[XZ]])
// CHECK-DAG: %[[W8:.*]] = onnx.Constant {{.*}}onnx.name = "w_quantized", value = dense<{{\[\[\[\[}}127]], {{\[\[}}-64]]], {{\[\[\[}}0]], {{\[\[}}127]]]]> : tensor<2x2x1x1xi8>}
// CHECK-DAG: %[[WS:.*]] = onnx.Constant {onnx.name = "w_scale", value = dense<[0.00999999977, 2.000000e-02]> : tensor<2xf32>}
// CHECK-DAG: %[[W:.*]] = onnx.DequantizeLinear(%[[W8]], %[[WS]], %{{.*}}) {axis = 0 : i64
// CHECK-DAG: %[[B32:.*]] = onnx.Constant {onnx.name = "b_quantized", value = dense<[5000, -1250]> : tensor<2xi32>}
// CHECK-DAG: %[[B:.*]] = onnx.DequantizeLinear(%[[B32]], %{{.*}}, %{{.*}}) {axis = 0 : i64
// CHECK: %[[Y:.*]] = onnx.Conv(%[[X]], %[[W]], %[[B]]) {nibble.report = {{.*}}scheme = "W8A8"
// CHECK-NEXT: return %[[Y]]
