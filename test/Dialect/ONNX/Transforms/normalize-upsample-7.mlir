// RUN: nibble-opt %s -onnx-normalize-opset | FileCheck %s

// In opset 7 the scales of Upsample are an attribute.

module attributes {onnx.opset_version = 7 : i64} {
// CHECK-LABEL: func @upsample
// CHECK: %[[S:.*]] = onnx.Constant {value = dense<[1.000000e+00, 1.000000e+00, 2.000000e+00, 2.000000e+00]> : tensor<4xf32>}
// CHECK: onnx.Resize(%{{.*}}, %{{.*}}, %[[S]], %{{.*}}) {coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"} : (tensor<1x1x2x2xf32>, none, tensor<4xf32>, none)
func.func @upsample(%x: tensor<1x1x2x2xf32>) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Upsample(%x, %none) {scales = array<f32: 1.0, 1.0, 2.0, 2.0>} : (tensor<1x1x2x2xf32>, none) -> tensor<1x1x4x4xf32>
  return %y : tensor<1x1x4x4xf32>
}
}
