// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @softmax
// CHECK: onnx.Softmax(%{{.*}}) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @softmax(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Softmax(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @log_softmax
// CHECK: onnx.LogSoftmax(%{{.*}}) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @log_softmax(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.LogSoftmax(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @hardmax
// CHECK: onnx.Hardmax(%{{.*}}) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @hardmax(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Hardmax(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @lp_normalization
// CHECK: onnx.LpNormalization(%{{.*}}) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @lp_normalization(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.LpNormalization(%x) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @mean_variance_normalization
// CHECK: onnx.MeanVarianceNormalization(%{{.*}}) {axes = array<i64: 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @mean_variance_normalization(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.MeanVarianceNormalization(%x) {axes = array<i64: 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
