// RUN: nibble-opt %s -onnx-normalize-opset | FileCheck %s

// Upsample and the Resize of opset 10 are today's Resize with asymmetric
// coordinates, and the scales are its third operand.

module attributes {onnx.opset_version = 10 : i64} {
// CHECK-LABEL: func @upsample(
// CHECK-SAME: %[[X:[^:]*]]: tensor<1x1x2x2xf32>, %[[S:[^:]*]]: tensor<4xf32>
// CHECK: %[[NONE:.*]] = onnx.NoValue
// CHECK: onnx.Resize(%[[X]], %[[NONE]], %[[S]], %[[NONE]]) {coordinate_transformation_mode = "asymmetric", mode = "linear", nearest_mode = "floor", onnx.name = "up"}
func.func @upsample(%x: tensor<1x1x2x2xf32>, %s: tensor<4xf32>) -> tensor<1x1x4x4xf32> {
  %y = onnx.Upsample(%x, %s) {mode = "linear", onnx.name = "up"} : (tensor<1x1x2x2xf32>, tensor<4xf32>) -> tensor<1x1x4x4xf32>
  return %y : tensor<1x1x4x4xf32>
}

// CHECK-LABEL: func @resize(
// CHECK-SAME: %[[X:[^:]*]]: tensor<1x1x2x2xf32>, %[[S:[^:]*]]: tensor<4xf32>
// CHECK: onnx.Resize(%[[X]], %{{.*}}, %[[S]], %{{.*}}) {coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"}
func.func @resize(%x: tensor<1x1x2x2xf32>, %s: tensor<4xf32>) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Resize(%x, %s, %none, %none) : (tensor<1x1x2x2xf32>, tensor<4xf32>, none, none) -> tensor<1x1x4x4xf32>
  return %y : tensor<1x1x4x4xf32>
}
}
