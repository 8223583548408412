// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @hann(
// CHECK-SAME: -> tensor<10xf64> {
func.func @hann() -> tensor<*x!onnx.unknown> {
  %n = onnx.Constant {value = dense<10> : tensor<i64>} : tensor<i64>
  %y0 = onnx.HannWindow(%n) {output_datatype = 11 : i64} : (tensor<i64>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @hamming(
// CHECK-SAME: -> tensor<?xf32> {
func.func @hamming(%n: tensor<i32>) -> tensor<*x!onnx.unknown> {
  %y0 = onnx.HammingWindow(%n) {periodic = 0 : i64} : (tensor<i32>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @blackman(
// CHECK-SAME: -> tensor<?xf32> {
func.func @blackman(%n: tensor<i64>) -> tensor<*x!onnx.unknown> {
  %y0 = onnx.BlackmanWindow(%n) : (tensor<i64>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @dft(
// CHECK-SAME: -> tensor<1x6x4x2xf32> {
func.func @dft(%x: tensor<1x10x4x1xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %a = onnx.Constant {value = dense<1> : tensor<i64>} : tensor<i64>
  %y0 = onnx.DFT(%x, %none, %a) {onesided = 1 : i64} : (tensor<1x10x4x1xf32>, none, tensor<i64>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @dft_back(
// CHECK-SAME: -> tensor<1x10x1xf32> {
func.func @dft_back(%x: tensor<1x6x2xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %y0 = onnx.DFT(%x, %none, %none) {inverse = 1 : i64, onesided = 1 : i64} : (tensor<1x6x2xf32>, none, none) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @stft(
// CHECK-SAME: -> tensor<1x15x9x2xf32> {
func.func @stft(%x: tensor<1x128x1xf32>) -> tensor<*x!onnx.unknown> {
  %none = onnx.NoValue : none
  %s = onnx.Constant {value = dense<8> : tensor<i64>} : tensor<i64>
  %l = onnx.Constant {value = dense<16> : tensor<i64>} : tensor<i64>
  %y0 = onnx.STFT(%x, %s, %none, %l) : (tensor<1x128x1xf32>, tensor<i64>, none, tensor<i64>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @mel(
// CHECK-SAME: -> tensor<9x8xf32> {
func.func @mel(%r: tensor<i64>, %e: tensor<f32>) -> tensor<*x!onnx.unknown> {
  %b = onnx.Constant {value = dense<8> : tensor<i64>} : tensor<i64>
  %l = onnx.Constant {value = dense<16> : tensor<i64>} : tensor<i64>
  %y0 = onnx.MelWeightMatrix(%b, %l, %r, %e, %e) : (tensor<i64>, tensor<i64>, tensor<i64>, tensor<f32>, tensor<f32>) -> tensor<*x!onnx.unknown>
  return %y0 : tensor<*x!onnx.unknown>
}
