// RUN: nibble-opt %s -onnx-normalize-opset | FileCheck %s

// Axes were attributes before opset 13 (reductions: 18).

// CHECK: module attributes {onnx.opset_version = 28 : i64}
module attributes {onnx.opset_version = 11 : i64} {
// CHECK-LABEL: func @squeeze
// CHECK: %[[AXES:.*]] = onnx.Constant {value = dense<0> : tensor<1xi64>}
// CHECK: onnx.Squeeze(%{{.*}}, %[[AXES]]) {onnx.name = "s"} : (tensor<1x4xf32>, tensor<1xi64>)
func.func @squeeze(%x: tensor<1x4xf32>) -> tensor<4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Squeeze(%x, %none) {axes = array<i64: 0>, onnx.name = "s"} : (tensor<1x4xf32>, none) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: func @unsqueeze
// CHECK: %[[AXES:.*]] = onnx.Constant {value = dense<[0, 2]> : tensor<2xi64>}
// CHECK: onnx.Unsqueeze(%{{.*}}, %[[AXES]]) :
func.func @unsqueeze(%x: tensor<4xf32>) -> tensor<1x4x1xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Unsqueeze(%x, %none) {axes = array<i64: 0, 2>} : (tensor<4xf32>, none) -> tensor<1x4x1xf32>
  return %y : tensor<1x4x1xf32>
}

// CHECK-LABEL: func @reduce
// CHECK: %[[AXES:.*]] = onnx.Constant {value = dense<-1> : tensor<1xi64>}
// CHECK: onnx.ReduceMean(%{{.*}}, %[[AXES]]) {keepdims = 0 : i64} :
func.func @reduce(%x: tensor<2x4xf32>) -> tensor<2xf32> {
  %none = onnx.NoValue : none
  %y = onnx.ReduceMean(%x, %none) {axes = array<i64: -1>, keepdims = 0 : i64} : (tensor<2x4xf32>, none) -> tensor<2xf32>
  return %y : tensor<2xf32>
}
}
