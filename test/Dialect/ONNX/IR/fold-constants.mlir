// RUN: nibble-opt %s -canonicalize | FileCheck %s

// Small constants are computed.

// CHECK-LABEL: func @arithmetic
// CHECK-NEXT: onnx.Constant {value = dense<{{\[\[}}5.000000e-01, 1.500000e+00], [1.500000e+00, 2.500000e+00]]> : tensor<2x2xf32>}
func.func @arithmetic() -> tensor<2x2xf32> {
  %a = onnx.Constant {value = dense<[[1.0], [3.0]]> : tensor<2x1xf32>} : tensor<2x1xf32>
  %b = onnx.Constant {value = dense<[0.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %two = onnx.Constant {value = dense<2.0> : tensor<f32>} : tensor<f32>
  %0 = onnx.Add(%a, %b) : (tensor<2x1xf32>, tensor<2xf32>) -> tensor<2x2xf32>
  %1 = onnx.Div(%0, %two) : (tensor<2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: func @movement
// CHECK-NEXT: onnx.Constant {value = dense<[4, 2, 6]> : tensor<3xi32>}
func.func @movement() -> tensor<3xi32> {
  %none = onnx.NoValue : none
  %m = onnx.Constant {value = dense<[[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]]> : tensor<2x3xf32>} : tensor<2x3xf32>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %end = onnx.Constant {value = dense<100> : tensor<1xi64>} : tensor<1xi64>
  %shape = onnx.Constant {value = dense<[-1]> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.Cast(%m) {to = 6 : i64} : (tensor<2x3xf32>) -> tensor<2x3xi32>
  %1 = onnx.Transpose(%0) : (tensor<2x3xi32>) -> tensor<3x2xi32>
  %2 = onnx.Reshape(%1, %shape) : (tensor<3x2xi32>, tensor<1xi64>) -> tensor<6xi32>
  %3 = onnx.Slice(%2, %one, %end, %none, %none) : (tensor<6xi32>, tensor<1xi64>, tensor<1xi64>, none, none) -> tensor<5xi32>
  %j = onnx.Constant {value = dense<[0, 1, -1]> : tensor<3xi64>} : tensor<3xi64>
  %4 = onnx.Gather(%3, %j) : (tensor<5xi32>, tensor<3xi64>) -> tensor<3xi32>
  return %4 : tensor<3xi32>
}

// A division by zero is left to run time.
// CHECK-LABEL: func @division
// CHECK: onnx.Div
func.func @division() -> tensor<i64> {
  %a = onnx.Constant {value = dense<1> : tensor<i64>} : tensor<i64>
  %b = onnx.Constant {value = dense<0> : tensor<i64>} : tensor<i64>
  %0 = onnx.Div(%a, %b) : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %0 : tensor<i64>
}
