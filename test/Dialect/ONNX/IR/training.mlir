// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @nll(
// CHECK: onnx.NegativeLogLikelihoodLoss(%{{.*}}, %{{.*}}, %{{.*}}) {reduction = "none"} : (tensor<3x5x6xf32>, tensor<3x6xi64>, none) -> tensor<3x6xf32>
func.func @nll(%x: tensor<3x5x6xf32>, %t: tensor<3x6xi64>) -> tensor<3x6xf32> {
  %none = onnx.NoValue : none
  %y0 = onnx.NegativeLogLikelihoodLoss(%x, %t, %none) {reduction = "none"} : (tensor<3x5x6xf32>, tensor<3x6xi64>, none) -> tensor<3x6xf32>
  return %y0 : tensor<3x6xf32>
}

// CHECK-LABEL: func @sce(
// CHECK: onnx.SoftmaxCrossEntropyLoss(%{{.*}}, %{{.*}}, %{{.*}}) {ignore_index = -1 : i64} : (tensor<3x5xf32>, tensor<3xi32>, tensor<5xf32>) -> (tensor<f32>, tensor<3x5xf32>)
func.func @sce(%x: tensor<3x5xf32>, %t: tensor<3xi32>, %w: tensor<5xf32>) -> (tensor<f32>, tensor<3x5xf32>) {
  %y0, %y1 = onnx.SoftmaxCrossEntropyLoss(%x, %t, %w) {ignore_index = -1 : i64} : (tensor<3x5xf32>, tensor<3xi32>, tensor<5xf32>) -> (tensor<f32>, tensor<3x5xf32>)
  return %y0, %y1 : tensor<f32>, tensor<3x5xf32>
}

// CHECK-LABEL: func @adagrad(
// CHECK: onnx.ai.onnx.preview.training.Adagrad(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {decay_factor = 1.000000e-01 : f32} : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>)
func.func @adagrad(%r: tensor<f32>, %t: tensor<i64>, %x: tensor<2xf32>, %g: tensor<2xf32>, %h: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %y0, %y1 = onnx.ai.onnx.preview.training.Adagrad(%r, %t, %x, %g, %h) {decay_factor = 1.000000e-01 : f32} : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>)
  return %y0, %y1 : tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: func @adam(
// CHECK: onnx.ai.onnx.preview.training.Adam(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>) -> (tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>)
func.func @adam(%r: tensor<f32>, %t: tensor<i64>, %x: tensor<2xf32>, %y: tensor<3xf32>) -> (tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>) {
  %y0, %y1, %y2, %y3, %y4, %y5 = onnx.ai.onnx.preview.training.Adam(%r, %t, %x, %y, %x, %y, %x, %y, %x, %y) : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>) -> (tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>)
  return %y0, %y1, %y2, %y3, %y4, %y5 : tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>, tensor<3xf32>
}

// CHECK-LABEL: func @momentum(
// CHECK: onnx.ai.onnx.preview.training.Momentum(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {alpha = 5.000000e-01 : f32, beta = 1.000000e+00 : f32, mode = "nesterov", norm_coefficient = 0.000000e+00 : f32} : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>)
func.func @momentum(%r: tensor<f32>, %t: tensor<i64>, %x: tensor<2xf32>, %g: tensor<2xf32>, %v: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %y0, %y1 = onnx.ai.onnx.preview.training.Momentum(%r, %t, %x, %g, %v) {alpha = 5.000000e-01 : f32, beta = 1.000000e+00 : f32, mode = "nesterov", norm_coefficient = 0.000000e+00 : f32} : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>)
  return %y0, %y1 : tensor<2xf32>, tensor<2xf32>
}
