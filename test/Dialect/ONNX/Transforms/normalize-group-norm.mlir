// RUN: nibble-opt %s -onnx-normalize-opset -onnx-infer-shapes | FileCheck %s

// Before opset 21 GroupNormalization had a scale and a bias for each group.

module attributes {onnx.opset_version = 18 : i64} {
// CHECK-LABEL: func @group_norm
// CHECK-DAG: %[[SCALE:.*]] = onnx.Constant {value = dense<[1.000000e+00, 1.000000e+00, 2.000000e+00, 2.000000e+00]> : tensor<4xf32>}
// CHECK-DAG: %[[BIAS:.*]] = onnx.Constant {value = dense<[3.000000e+00, 3.000000e+00, 4.000000e+00, 4.000000e+00]> : tensor<4xf32>}
// CHECK: onnx.GroupNormalization(%{{.*}}, %[[SCALE]], %[[BIAS]]) {num_groups = 2 : i64} : (tensor<1x4x8xf32>, tensor<4xf32>, tensor<4xf32>)
func.func @group_norm(%x: tensor<1x4x8xf32>) -> tensor<1x4x8xf32> {
  %s = onnx.Constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %b = onnx.Constant {value = dense<[3.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = onnx.GroupNormalization(%x, %s, %b) {num_groups = 2 : i64} : (tensor<1x4x8xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x4x8xf32>
  return %y : tensor<1x4x8xf32>
}
}
