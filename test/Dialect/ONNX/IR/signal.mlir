// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @hann(
// CHECK: onnx.HannWindow(%{{.*}}) {output_datatype = 11 : i64} : (tensor<i64>) -> tensor<10xf64>
func.func @hann() -> tensor<10xf64> {
  %n = onnx.Constant {value = dense<10> : tensor<i64>} : tensor<i64>
  %y0 = onnx.HannWindow(%n) {output_datatype = 11 : i64} : (tensor<i64>) -> tensor<10xf64>
  return %y0 : tensor<10xf64>
}

// CHECK-LABEL: func @hamming(
// CHECK: onnx.HammingWindow(%{{.*}}) {periodic = 0 : i64} : (tensor<i32>) -> tensor<?xf32>
func.func @hamming(%n: tensor<i32>) -> tensor<?xf32> {
  %y0 = onnx.HammingWindow(%n) {periodic = 0 : i64} : (tensor<i32>) -> tensor<?xf32>
  return %y0 : tensor<?xf32>
}

// CHECK-LABEL: func @blackman(
// CHECK: onnx.BlackmanWindow(%{{.*}}) : (tensor<i64>) -> tensor<?xf32>
func.func @blackman(%n: tensor<i64>) -> tensor<?xf32> {
  %y0 = onnx.BlackmanWindow(%n) : (tensor<i64>) -> tensor<?xf32>
  return %y0 : tensor<?xf32>
}

// CHECK-LABEL: func @dft(
// CHECK: onnx.DFT(%{{.*}}, %{{.*}}, %{{.*}}) {onesided = 1 : i64} : (tensor<1x10x4x1xf32>, none, tensor<i64>) -> tensor<1x6x4x2xf32>
func.func @dft(%x: tensor<1x10x4x1xf32>) -> tensor<1x6x4x2xf32> {
  %none = onnx.NoValue : none
  %a = onnx.Constant {value = dense<1> : tensor<i64>} : tensor<i64>
  %y0 = onnx.DFT(%x, %none, %a) {onesided = 1 : i64} : (tensor<1x10x4x1xf32>, none, tensor<i64>) -> tensor<1x6x4x2xf32>
  return %y0 : tensor<1x6x4x2xf32>
}

// CHECK-LABEL: func @dft_back(
// CHECK: onnx.DFT(%{{.*}}, %{{.*}}, %{{.*}}) {inverse = 1 : i64, onesided = 1 : i64} : (tensor<1x6x2xf32>, none, none) -> tensor<1x10x1xf32>
func.func @dft_back(%x: tensor<1x6x2xf32>) -> tensor<1x10x1xf32> {
  %none = onnx.NoValue : none
  %y0 = onnx.DFT(%x, %none, %none) {inverse = 1 : i64, onesided = 1 : i64} : (tensor<1x6x2xf32>, none, none) -> tensor<1x10x1xf32>
  return %y0 : tensor<1x10x1xf32>
}

// CHECK-LABEL: func @stft(
// CHECK: onnx.STFT(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<1x128x1xf32>, tensor<i64>, none, tensor<i64>) -> tensor<1x15x9x2xf32>
func.func @stft(%x: tensor<1x128x1xf32>) -> tensor<1x15x9x2xf32> {
  %none = onnx.NoValue : none
  %s = onnx.Constant {value = dense<8> : tensor<i64>} : tensor<i64>
  %l = onnx.Constant {value = dense<16> : tensor<i64>} : tensor<i64>
  %y0 = onnx.STFT(%x, %s, %none, %l) : (tensor<1x128x1xf32>, tensor<i64>, none, tensor<i64>) -> tensor<1x15x9x2xf32>
  return %y0 : tensor<1x15x9x2xf32>
}

// CHECK-LABEL: func @mel(
// CHECK: onnx.MelWeightMatrix(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<i64>, tensor<i64>, tensor<i64>, tensor<f32>, tensor<f32>) -> tensor<9x8xf32>
func.func @mel(%r: tensor<i64>, %e: tensor<f32>) -> tensor<9x8xf32> {
  %b = onnx.Constant {value = dense<8> : tensor<i64>} : tensor<i64>
  %l = onnx.Constant {value = dense<16> : tensor<i64>} : tensor<i64>
  %y0 = onnx.MelWeightMatrix(%b, %l, %r, %e, %e) : (tensor<i64>, tensor<i64>, tensor<i64>, tensor<f32>, tensor<f32>) -> tensor<9x8xf32>
  return %y0 : tensor<9x8xf32>
}
