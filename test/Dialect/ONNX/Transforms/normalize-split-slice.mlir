// RUN: nibble-opt %s -onnx-normalize-opset | FileCheck %s

// Positions were attributes: of Split before opset 13, of Slice before 10.

module attributes {onnx.opset_version = 9 : i64} {
// CHECK-LABEL: func @split
// CHECK: %[[SIZES:.*]] = onnx.Constant {value = dense<[1, 3]> : tensor<2xi64>}
// CHECK: onnx.Split(%{{.*}}, %[[SIZES]]) : (tensor<4xf32>, tensor<2xi64>)
func.func @split(%x: tensor<4xf32>) -> tensor<3xf32> {
  %none = onnx.NoValue : none
  %a, %b = onnx.Split(%x, %none) {split = array<i64: 1, 3>} : (tensor<4xf32>, none) -> (tensor<1xf32>, tensor<3xf32>)
  return %b : tensor<3xf32>
}

// CHECK-LABEL: func @slice
// CHECK-DAG: %[[STARTS:.*]] = onnx.Constant {value = dense<1> : tensor<1xi64>}
// CHECK-DAG: %[[ENDS:.*]] = onnx.Constant {value = dense<3> : tensor<1xi64>}
// CHECK-DAG: %[[AXES:.*]] = onnx.Constant {value = dense<0> : tensor<1xi64>}
// CHECK: onnx.Slice(%{{.*}}, %[[STARTS]], %[[ENDS]], %[[AXES]], %{{.*}}) :
func.func @slice(%x: tensor<4xf32>) -> tensor<2xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Slice(%x, %none, %none, %none, %none) {starts = array<i64: 1>, ends = array<i64: 3>, axes = array<i64: 0>} : (tensor<4xf32>, none, none, none, none) -> tensor<2xf32>
  return %y : tensor<2xf32>
}
}
