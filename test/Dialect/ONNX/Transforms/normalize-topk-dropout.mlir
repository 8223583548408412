// RUN: nibble-opt %s -onnx-normalize-opset | FileCheck %s

// The number of TopK (before opset 10) and the ratio of Dropout (before 12)
// were attributes.

module attributes {onnx.opset_version = 9 : i64} {
// CHECK-LABEL: func @topk
// CHECK: %[[K:.*]] = onnx.Constant {value = dense<2> : tensor<1xi64>}
// CHECK: onnx.TopK(%{{.*}}, %[[K]]) : (tensor<5xf32>, tensor<1xi64>)
func.func @topk(%x: tensor<5xf32>) -> tensor<2xf32> {
  %none = onnx.NoValue : none
  %v, %i = onnx.TopK(%x, %none) {k = 2 : i64} : (tensor<5xf32>, none) -> (tensor<2xf32>, tensor<2xi64>)
  return %v : tensor<2xf32>
}

// CHECK-LABEL: func @dropout
// CHECK: %[[RATIO:.*]] = onnx.Constant {value = dense<2.500000e-01> : tensor<f32>}
// CHECK: onnx.Dropout(%{{.*}}, %[[RATIO]], %{{.*}}) : (tensor<5xf32>, tensor<f32>, none)
func.func @dropout(%x: tensor<5xf32>) -> tensor<5xf32> {
  %none = onnx.NoValue : none
  %y, %m = onnx.Dropout(%x, %none, %none) {ratio = 0.25 : f32} : (tensor<5xf32>, none, none) -> (tensor<5xf32>, none)
  return %y : tensor<5xf32>
}
}
