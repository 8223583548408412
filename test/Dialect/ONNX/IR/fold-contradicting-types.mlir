// RUN: nibble-opt %s --canonicalize | FileCheck %s

// Types that contradict the operands are not folded: shape inference tells.

// CHECK-LABEL: func.func @slice(
func.func @slice() -> tensor<2x1xf32> {
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<[[1.0], [2.0], [3.0]]> : tensor<3x1xf32>} : tensor<3x1xf32>
  %start = onnx.Constant {value = dense<2> : tensor<1xi64>} : tensor<1xi64>
  %end = onnx.Constant {value = dense<9> : tensor<1xi64>} : tensor<1xi64>
  // CHECK: onnx.Slice
  %y = onnx.Slice(%w, %start, %end, %none, %none) : (tensor<3x1xf32>, tensor<1xi64>, tensor<1xi64>, none, none) -> tensor<2x1xf32>
  return %y : tensor<2x1xf32>
}

// CHECK-LABEL: func.func @transpose(
func.func @transpose() -> tensor<6xf32> {
  %w = onnx.Constant {value = dense<1.0> : tensor<2x3xf32>} : tensor<2x3xf32>
  // CHECK: onnx.Transpose
  %y = onnx.Transpose(%w) : (tensor<2x3xf32>) -> tensor<6xf32>
  return %y : tensor<6xf32>
}

// CHECK-LABEL: func.func @gather(
func.func @gather() -> tensor<2xf32> {
  %w = onnx.Constant {value = dense<[[1.0], [2.0], [3.0]]> : tensor<3x1xf32>} : tensor<3x1xf32>
  %i = onnx.Constant {value = dense<[0, 2]> : tensor<2xi64>} : tensor<2xi64>
  // CHECK: onnx.Gather
  %y = onnx.Gather(%w, %i) {axis = 0 : i64} : (tensor<3x1xf32>, tensor<2xi64>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// CHECK-LABEL: func.func @concat(
func.func @concat() -> tensor<2x3xi64> {
  %a = onnx.Constant {value = dense<[[1], [2]]> : tensor<2x1xi64>} : tensor<2x1xi64>
  %b = onnx.Constant {value = dense<[[3, 4]]> : tensor<1x2xi64>} : tensor<1x2xi64>
  // CHECK: onnx.Concat
  %y = onnx.Concat(%a, %b) {axis = 1 : i64} : (tensor<2x1xi64>, tensor<1x2xi64>) -> tensor<2x3xi64>
  return %y : tensor<2x3xi64>
}

// CHECK-LABEL: func.func @sum(
func.func @sum() -> tensor<3xi64> {
  %a = onnx.Constant {value = dense<[1, 2, 3]> : tensor<3xi64>} : tensor<3xi64>
  %b = onnx.Constant {value = dense<[1, 2]> : tensor<2xi64>} : tensor<2xi64>
  // CHECK: onnx.Add
  %y = onnx.Add(%a, %b) : (tensor<3xi64>, tensor<2xi64>) -> tensor<3xi64>
  return %y : tensor<3xi64>
}
