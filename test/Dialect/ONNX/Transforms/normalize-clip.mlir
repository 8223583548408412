// RUN: nibble-opt %s -onnx-normalize-opset | FileCheck %s

// The bounds of Clip were attributes before opset 11; one may be absent.

module attributes {onnx.opset_version = 10 : i64} {
// CHECK-LABEL: func @both
// CHECK-DAG: %[[LO:.*]] = onnx.Constant {value = dense<0.000000e+00> : tensor<f32>}
// CHECK-DAG: %[[HI:.*]] = onnx.Constant {value = dense<6.000000e+00> : tensor<f32>}
// CHECK: onnx.Clip(%{{.*}}, %[[LO]], %[[HI]]) : (tensor<4xf32>, tensor<f32>, tensor<f32>)
func.func @both(%x: tensor<4xf32>) -> tensor<4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Clip(%x, %none, %none) {min = 0.0 : f32, max = 6.0 : f32} : (tensor<4xf32>, none, none) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// The bounds get the element type, here one that is not known yet.
// CHECK-LABEL: func @unknown
// CHECK: %[[LO:.*]] = onnx.CastLike(%{{.*}}, %{{.*}}) : (tensor<f32>, tensor<*x!onnx.unknown>)
// CHECK: onnx.Clip(%{{.*}}, %[[LO]], %{{.*}}) : (tensor<*x!onnx.unknown>, tensor<!onnx.unknown>, none)
func.func @unknown(%x: tensor<4xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %0 = onnx.Relu(%x) : (tensor<4xf32>) -> tensor<*x!onnx.unknown>
  %y = onnx.Clip(%0, %none, %none) {min = 0.0 : f32} : (tensor<*x!onnx.unknown>, none, none) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
}
