// RUN: nibble-opt %s --onnx-equalize-layers="scheme=W8A8 calibration=%S/Inputs/ranges.yaml" | FileCheck %s

// Rows of 4 and 1 before the Relu, columns of 1 and 9 after it: both become 2
// and 3, with the factors 2 and 1/3.

func.func @chain(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> {
  %w1 = onnx.Constant {value = dense<[[[[4.0]]], [[[1.0]]]]> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
  %b1 = onnx.Constant {value = dense<[1.0, 1.0]> : tensor<2xf32>} : tensor<2xf32>
  %none = onnx.NoValue : none
  %w2 = onnx.Constant {value = dense<[[[[1.0]], [[-9.0]]]]> : tensor<1x2x1x1xf32>} : tensor<1x2x1x1xf32>
  %0 = onnx.Conv(%x, %w1, %b1) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %1 = onnx.Relu(%0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %2 = onnx.Conv(%1, %w2, %none) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  return %2 : tensor<1x1x4x4xf32>
}

// CHECK-LABEL: func.func @chain
// CHECK-DAG: dense<{{\[\[\[\[}}2.000000e+00]]], {{\[\[\[}}3.000000e+00]]]]>
// CHECK-DAG: dense<[5.000000e-01, 3.000000e+00]>
// CHECK: onnx.Relu{{.*}}nibble.equalized = array<f32: 2.000000e+00, 0.333333343>
// CHECK: dense<{{\[\[\[\[}}2.000000e+00]], {{\[\[}}-3.000000e+00]]]]>

// A second reader of what is between, and a bounded function, leave all as it is.

// CHECK-LABEL: func.func @branches
// CHECK-NOT: equalized
func.func @branches(%x: tensor<1x1x4x4xf32>) -> (tensor<1x2x4x4xf32>, tensor<1x1x4x4xf32>) {
  %w1 = onnx.Constant {value = dense<[[[[4.0]]], [[[1.0]]]]> : tensor<2x1x1x1xf32>} : tensor<2x1x1x1xf32>
  %none = onnx.NoValue : none
  %w2 = onnx.Constant {value = dense<[[[[1.0]], [[-9.0]]]]> : tensor<1x2x1x1xf32>} : tensor<1x2x1x1xf32>
  %0 = onnx.Conv(%x, %w1, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %1 = onnx.Sigmoid(%0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %2 = onnx.Conv(%1, %w2, %none) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  return %1, %2 : tensor<1x2x4x4xf32>, tensor<1x1x4x4xf32>
}
