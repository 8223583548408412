// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Types of the results from those of the operands.

// CHECK-LABEL: func @sigmoid(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @sigmoid(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Sigmoid(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @hard_sigmoid(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @hard_sigmoid(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.HardSigmoid(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @hard_swish(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @hard_swish(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.HardSwish(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @swish(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @swish(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Swish(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @mish(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @mish(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Mish(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @gelu(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @gelu(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Gelu(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @softplus(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @softplus(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Softplus(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @softsign(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @softsign(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Softsign(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}

// CHECK-LABEL: func @shrink(
// CHECK-SAME: -> tensor<2x3xf32> {
func.func @shrink(%x: tensor<2x3xf32>) -> tensor<*x!onnx.unknown> {
  %y = onnx.Shrink(%x) : (tensor<2x3xf32>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
