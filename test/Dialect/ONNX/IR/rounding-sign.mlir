// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @abs
// CHECK: onnx.Abs(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @abs(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Abs(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @neg
// CHECK: onnx.Neg(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @neg(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Neg(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @sign
// CHECK: onnx.Sign(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @sign(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Sign(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @ceil
// CHECK: onnx.Ceil(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @ceil(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Ceil(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @floor
// CHECK: onnx.Floor(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @floor(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Floor(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @round
// CHECK: onnx.Round(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xf32>
func.func @round(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.Round(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func @is_na_n
// CHECK: onnx.IsNaN(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xi1>
func.func @is_na_n(%x: tensor<2x3xf32>) -> tensor<2x3xi1> {
  %y = onnx.IsNaN(%x) : (tensor<2x3xf32>) -> tensor<2x3xi1>
  return %y : tensor<2x3xi1>
}

// CHECK-LABEL: func @is_inf
// CHECK: onnx.IsInf(%{{.*}}) : (tensor<2x3xf32>) -> tensor<2x3xi1>
func.func @is_inf(%x: tensor<2x3xf32>) -> tensor<2x3xi1> {
  %y = onnx.IsInf(%x) : (tensor<2x3xf32>) -> tensor<2x3xi1>
  return %y : tensor<2x3xi1>
}
