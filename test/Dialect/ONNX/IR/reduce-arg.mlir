// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @reduce_sum
// CHECK: onnx.ReduceSum(%{{.*}}, %{{.*}}) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2x1xf32>
func.func @reduce_sum(%x: tensor<2x3xf32>, %axes: tensor<1xi64>) -> tensor<2x1xf32> {
  %y = onnx.ReduceSum(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  return %y : tensor<2x1xf32>
}

// CHECK-LABEL: func @reduce_sum_square
// CHECK: onnx.ReduceSumSquare(%{{.*}}, %{{.*}}) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2x1xf32>
func.func @reduce_sum_square(%x: tensor<2x3xf32>, %axes: tensor<1xi64>) -> tensor<2x1xf32> {
  %y = onnx.ReduceSumSquare(%x, %axes) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  return %y : tensor<2x1xf32>
}

// CHECK-LABEL: func @arg_max
// CHECK: onnx.ArgMax(%{{.*}}) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<2x3xf32>) -> tensor<2xi64>
func.func @arg_max(%x: tensor<2x3xf32>) -> tensor<2xi64> {
  %i = onnx.ArgMax(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<2x3xf32>) -> tensor<2xi64>
  return %i : tensor<2xi64>
}

// CHECK-LABEL: func @arg_min
// CHECK: onnx.ArgMin(%{{.*}}) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<2x3xf32>) -> tensor<2xi64>
func.func @arg_min(%x: tensor<2x3xf32>) -> tensor<2xi64> {
  %i = onnx.ArgMin(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<2x3xf32>) -> tensor<2xi64>
  return %i : tensor<2xi64>
}

// CHECK-LABEL: func @cum_sum
// CHECK: onnx.CumSum(%{{.*}}, %{{.*}}) {exclusive = 1 : i64} : (tensor<5xf32>, tensor<i32>) -> tensor<5xf32>
func.func @cum_sum(%x: tensor<5xf32>, %axis: tensor<i32>) -> tensor<5xf32> {
  %y = onnx.CumSum(%x, %axis) {exclusive = 1 : i64} : (tensor<5xf32>, tensor<i32>) -> tensor<5xf32>
  return %y : tensor<5xf32>
}

// CHECK-LABEL: func @top_k
// CHECK: onnx.TopK(%{{.*}}, %{{.*}}) : (tensor<2x9xf32>, tensor<1xi64>) -> (tensor<2x3xf32>, tensor<2x3xi64>)
func.func @top_k(%x: tensor<2x9xf32>, %k: tensor<1xi64>) -> tensor<2x3xf32> {
  %v, %i = onnx.TopK(%x, %k) : (tensor<2x9xf32>, tensor<1xi64>) -> (tensor<2x3xf32>, tensor<2x3xi64>)
  return %v : tensor<2x3xf32>
}
