// RUN: nibble-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<?x4xf32>, %w: tensor<4x3xi8>) {
  // expected-error @+1 {{expected an input of element type 'i8', got 'f32'}}
  %y = nibble.matmul_integer %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<?x4xf32>, tensor<4x3xi8>) -> tensor<?x3xi32>
  return
}

// -----

func.func @f(%x: tensor<?x4xi8>, %w: tensor<3x4xi8>) {
  // expected-error @+1 {{expected a weight of shape [4, 3], got [3, 4]}}
  %y = nibble.matmul_integer %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<?x4xi8>, tensor<3x4xi8>) -> tensor<?x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x4xi8>, %w: tensor<4x3xi8>) {
  // expected-error @+1 {{expected a result of element type i8, i32 or f32, got 'i64'}}
  %y = nibble.matmul_integer %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<2x4xi8>, tensor<4x3xi8>) -> tensor<2x3xi64>
  return
}

// -----

func.func @f(%x: tensor<2x4xi8>, %w: tensor<4x3xi8>, %z: tensor<4xi8>) {
  // expected-error @+1 {{expected input_zero of one element or of shape [2], got [4]}}
  %y = nibble.matmul_integer %x weight(%w) input_zero(%z) {n = 3 : i64, k = 4 : i64} : (tensor<2x4xi8>, tensor<4x3xi8>, tensor<4xi8>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x4xi8>, %w: tensor<4x3xi8>, %s: tensor<3xf32>) {
  // expected-error @+1 {{expected no scales, activation, residual or bias of floats with a result of i32, got some}}
  %y = nibble.matmul_integer %x weight(%w scales %s) {n = 3 : i64, k = 4 : i64} : (tensor<2x4xi8>, tensor<4x3xi8>, tensor<3xf32>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x4xi8>, %w: tensor<4x3xi8>, %s: tensor<f32>) {
  // expected-error @+1 {{expected output_scale, output_zero or unsigned_output with a result of i8, got 'f32'}}
  %y = nibble.matmul_integer %x weight(%w) output_scale(%s) {n = 3 : i64, k = 4 : i64} : (tensor<2x4xi8>, tensor<4x3xi8>, tensor<f32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xi8>, %w: tensor<4x3xi8>, %b: tensor<3xi64>) {
  // expected-error @+1 {{expected bias of element type i32 or f32, got 'i64'}}
  %y = nibble.matmul_integer %x weight(%w) bias(%b) {n = 3 : i64, k = 4 : i64} : (tensor<2x4xi8>, tensor<4x3xi8>, tensor<3xi64>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x4xi8>, %w: tensor<1x1x32x4xi8>) {
  // expected-error @+1 {{expected weight sums if and only if the weight is packed}}
  %y = nibble.matmul_integer %x weight(%w) {n = 3 : i64, k = 4 : i64, packed} : (tensor<2x4xi8>, tensor<1x1x32x4xi8>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x70xi8>, %w: tensor<1x18x32x4xi8>, %s: tensor<3xi32>) {
  // expected-error @+1 {{expected a packed weight of shape [1, 32, 32, 4], got [1, 18, 32, 4]}}
  %y = nibble.matmul_integer %x weight(%w sums %s) {n = 3 : i64, k = 70 : i64, packed} : (tensor<2x70xi8>, tensor<1x18x32x4xi8>, tensor<3xi32>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x4x4xi8>, %w: tensor<3x4x3xi8>) {
  // expected-error @+1 {{expected a weight of shape [2, 4, 3], got [3, 4, 3]}}
  %y = nibble.matmul_integer %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<2x4x4xi8>, tensor<3x4x3xi8>) -> tensor<2x4x3xi32>
  return
}

// -----

func.func @f(%x: tensor<1x3x8x8xi8>, %w: tensor<4x3x3x3xi8>, %z: tensor<3xi8>) {
  // expected-error @+1 {{expected weight zeros of one element or of shape [4], got [3]}}
  %y = nibble.conv_integer %x weight(%w zeros %z) {weight_shape = array<i64: 4, 3, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x3x8x8xi8>, tensor<4x3x3x3xi8>, tensor<3xi8>) -> tensor<1x4x6x6xi32>
  return
}

// -----

func.func @f(%x: tensor<1x3x8x8xi8>, %w: tensor<4x3x3x3xi8>) {
  // expected-error @+1 {{expected a result of shape [1, 4, 6, 6], got [1, 4, 8, 8]}}
  %y = nibble.conv_integer %x weight(%w) {weight_shape = array<i64: 4, 3, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} : (tensor<1x3x8x8xi8>, tensor<4x3x3x3xi8>) -> tensor<1x4x8x8xi32>
  return
}
