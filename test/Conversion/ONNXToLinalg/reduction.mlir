// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @mean
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK: arith.addf
// CHECK: arith.divf
// CHECK: tensor.expand_shape
func.func @mean(%a: tensor<4x8xf32>) -> tensor<4x1xf32> {
  %axes = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.ReduceMean(%a, %axes) : (tensor<4x8xf32>, tensor<1xi64>) -> tensor<4x1xf32>
  return %0 : tensor<4x1xf32>
}

// -----

// Sums of 16-bit floats are kept in f32.
// CHECK-LABEL: func.func @half
// CHECK: linalg.fill {{.*}} outs(%{{.*}} : tensor<4xf32>)
// CHECK: arith.truncf {{.*}} : f32 to f16
func.func @half(%a: tensor<4x8xf16>) -> tensor<4xf16> {
  %axes = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.ReduceSum(%a, %axes) {keepdims = 0 : i64} : (tensor<4x8xf16>, tensor<1xi64>) -> tensor<4xf16>
  return %0 : tensor<4xf16>
}

// -----

// The maximum first, then the first place that holds it: both are folds of one
// value, which vectors can do.
// CHECK-LABEL: func.func @argmax
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK: arith.maximumf
// CHECK: linalg.index 1
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK: arith.minsi {{.*}} : i64
func.func @argmax(%a: tensor<4x8xf32>) -> tensor<4xi64> {
  %0 = onnx.ArgMax(%a) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<4x8xf32>) -> tensor<4xi64>
  return %0 : tensor<4xi64>
}

// -----

// The maximum is taken off before the exponential.
// CHECK-LABEL: func.func @softmax
// CHECK: arith.maximumf
// CHECK: arith.subf
// CHECK: math.exp
// CHECK: arith.addf
// CHECK: arith.divf
func.func @softmax(%a: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = onnx.Softmax(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// Axes that are known at run time only are checked; the elements are put in
// the order (kept, reduced) first.
// CHECK-LABEL: func.func @axes
// CHECK: cf.assert %{{.*}}, "total: an axis is out of range"
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK: arith.remui
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
func.func @axes(%x: tensor<2x3xf32>, %axes: tensor<?xi64>) -> tensor<?x?xf32> {
  %0 = onnx.ReduceSum(%x, %axes) {onnx.name = "total"} : (tensor<2x3xf32>, tensor<?xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
