// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @static
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0], [1, 2]] : tensor<2x3x4xf32> into tensor<2x12xf32>
func.func @static(%a: tensor<2x3x4xf32>) -> tensor<2x12xf32> {
  %s = onnx.Constant {value = dense<[2, 12]> : tensor<2xi64>} : tensor<2xi64>
  %0 = onnx.Reshape(%a, %s) : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<2x12xf32>
  return %0 : tensor<2x12xf32>
}

// -----

// Heads are split off the last dimension; the dynamic ones stand alone.
// CHECK-LABEL: func.func @split_heads
// CHECK: tensor.expand_shape %{{.*}} {{\[\[}}0], [1], [2, 3]]
// CHECK-SAME: tensor<?x?x64xf32> into tensor<?x?x8x8xf32>
// CHECK-NOT: cf.assert
func.func @split_heads(%a: tensor<?x?x64xf32>) -> tensor<?x?x8x8xf32> {
  %s = onnx.Constant {value = dense<[0, 0, 8, -1]> : tensor<4xi64>} : tensor<4xi64>
  %0 = onnx.Reshape(%a, %s) : (tensor<?x?x64xf32>, tensor<4xi64>) -> tensor<?x?x8x8xf32>
  return %0 : tensor<?x?x8x8xf32>
}

// -----

// Shape arithmetic is followed: the batch is recognized, nothing is checked.
// CHECK-LABEL: func.func @from_shape
// CHECK-NOT: cf.assert
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0], [1, 2]]
func.func @from_shape(%a: tensor<?x3x4xf32>) -> tensor<?x12xf32> {
  %zero = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
  %rest = onnx.Constant {value = dense<12> : tensor<1xi64>} : tensor<1xi64>
  %shape = onnx.Shape(%a) : (tensor<?x3x4xf32>) -> tensor<3xi64>
  %n = onnx.Gather(%shape, %zero) {axis = 0 : i64} : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %s = onnx.Concat(%n, %rest) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %0 = onnx.Reshape(%a, %s) : (tensor<?x3x4xf32>, tensor<2xi64>) -> tensor<?x12xf32>
  return %0 : tensor<?x12xf32>
}

// -----

// A shape that only the run shows is checked against the elements.
// CHECK-LABEL: func.func @at_run_time
// CHECK: cf.assert %{{.*}}, "r: the number of elements changes in a reshape"
// CHECK: tensor.expand_shape
func.func @at_run_time(%a: tensor<?xf32>, %s: tensor<2xi64>) -> tensor<?x?xf32> {
  %0 = onnx.Reshape(%a, %s) {onnx.name = "r"} : (tensor<?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
