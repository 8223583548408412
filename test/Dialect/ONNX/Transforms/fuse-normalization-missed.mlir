// RUN: nibble-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(onnx-fuse-normalization))' \
// RUN:   --remarks-filter-missed=fusion --remark-format=emitRemark

// What is nearly a normalization says what differs.

func.func @axis(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %eps = onnx.Constant {value = dense<1.0e-6> : tensor<f32>} : tensor<f32>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.Mul(%x, %x) : (tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %1 = onnx.ReduceMean(%0, %one) : (tensor<2x3x8xf32>, tensor<1xi64>) -> tensor<2x1x8xf32>
  %2 = onnx.Add(%1, %eps) : (tensor<2x1x8xf32>, tensor<f32>) -> tensor<2x1x8xf32>
  %3 = onnx.Sqrt(%2) : (tensor<2x1x8xf32>) -> tensor<2x1x8xf32>
  // expected-remark@+1 {{RMS normalization not fused in layer "norm": the mean is over axis 1, not the last}}
  %4 = onnx.Div(%x, %3) {onnx.name = "norm"} : (tensor<2x3x8xf32>, tensor<2x1x8xf32>) -> tensor<2x3x8xf32>
  return %4 : tensor<2x3x8xf32>
}

// -----

func.func @epsilon(%x: tensor<2x8xf32>, %eps: tensor<f32>) -> tensor<2x8xf32> {
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.Mul(%x, %x) : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %1 = onnx.ReduceMean(%0, %last) : (tensor<2x8xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %2 = onnx.Add(%1, %eps) : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %3 = onnx.Sqrt(%2) : (tensor<2x1xf32>) -> tensor<2x1xf32>
  // expected-remark@+1 {{RMS normalization not fused: epsilon is not a constant number}}
  %4 = onnx.Div(%x, %3) : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  return %4 : tensor<2x8xf32>
}

// -----

func.func @other(%x: tensor<2x8xf32>, %z: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %eps = onnx.Constant {value = dense<1.0e-6> : tensor<f32>} : tensor<f32>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.Mul(%x, %x) : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %1 = onnx.ReduceMean(%0, %last) : (tensor<2x8xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %2 = onnx.Add(%1, %eps) : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %3 = onnx.Sqrt(%2) : (tensor<2x1xf32>) -> tensor<2x1xf32>
  // expected-remark@+1 {{RMS normalization not fused: what is squared is not what is divided}}
  %4 = onnx.Div(%z, %3) : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  return %4 : tensor<2x8xf32>
}
