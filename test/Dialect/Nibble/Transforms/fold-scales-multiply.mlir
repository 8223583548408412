// RUN: nibble-opt %s --nibble-fold-scales -split-input-file -verify-diagnostics | FileCheck %s

// Activations that something else reads, too, are divided by an operation of
// their own, which only the layer reads.
// CHECK-LABEL: func.func @shared(
// CHECK-SAME: %[[X:.+]]: tensor<?x2xf32>
func.func @shared(%x: tensor<?x2xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>) {
  // CHECK: %[[F:.+]] = nibble.constant dense<[5.000000e-01, 2.000000e+00]> : tensor<2xf32>
  // CHECK: %[[D:.+]] = linalg.generic {{.*}} ins(%[[X]], %[[F]] :
  // CHECK: arith.mulf
  %w = nibble.constant dense<[[3.0], [5.0]]> : tensor<2x1xf32>
  // CHECK: nibble.matmul %[[D]] weight(%[[S:.+]]) {k = 2 : i64, layers = ["a"]
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 2 : i64, layers = ["a"], nibble.input_scales = array<f32: 2.0, 0.5>}
    : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
  // CHECK: nibble.matmul %[[X]] weight(%{{.+}}) {k = 2 : i64, layers = ["b"]
  %z = nibble.matmul %x weight(%w) {n = 1 : i64, k = 2 : i64, layers = ["b"]}
    : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
  return %y, %z : tensor<?x1xf32>, tensor<?x1xf32>
}

// -----

// A convolution has a scale for each channel, not for each of its weights; the
// one before takes the division.
// CHECK-LABEL: func.func @convolutions(
func.func @convolutions(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x4x3xf32> {
  %v = nibble.constant dense<[[[[6.0]]], [[[8.0]]]]> : tensor<2x1x1x1xf32>
  %w = nibble.constant dense<[[[[1.0, 3.0]], [[5.0, 7.0]]]]> : tensor<1x2x1x2xf32>
  // CHECK-DAG: nibble.constant dense<{{\[\[\[\[}}3.000000e+00]]], {{\[\[\[}}1.600000e+01]]]]> : tensor<2x1x1x1xf32>
  // CHECK-DAG: nibble.constant dense<{{\[\[\[\[}}2.000000e+00, 6.000000e+00]], {{\[\[}}2.500000e+00, 3.500000e+00]]]]> : tensor<1x2x1x2xf32>
  %a = nibble.conv %x weight(%v) {weight_shape = array<i64: 2, 1, 1, 1>, strides = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, activation = #nibble.activation<relu>, layers = ["first"]}
    : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x4x4xf32>
  %y = nibble.conv %a weight(%w) {weight_shape = array<i64: 1, 2, 1, 2>, strides = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, layers = ["second"], nibble.input_scales = array<f32: 2.0, 0.5>}
    : (tensor<1x2x4x4xf32>, tensor<1x2x1x2xf32>) -> tensor<1x1x4x3xf32>
  return %y : tensor<1x1x4x3xf32>
}

// -----

func.func @wrongLength(%x: tensor<?x2xf32>) -> tensor<?x1xf32> {
  %w = nibble.constant dense<[[3.0], [5.0]]> : tensor<2x1xf32>
  // expected-error@+1 {{layer "a": expected 2 scales, one for each input channel, got 1}}
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 2 : i64, layers = ["a"], nibble.input_scales = array<f32: 2.0>}
    : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

func.func @zero(%x: tensor<?x2xf32>) -> tensor<?x1xf32> {
  %w = nibble.constant dense<[[3.0], [5.0]]> : tensor<2x1xf32>
  // expected-error@+1 {{layer "a": the scale of input channel 1 is 0.000000e+00, expected a finite number above 0}}
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 2 : i64, layers = ["a"], nibble.input_scales = array<f32: 2.0, 0.0>}
    : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}
