// RUN: nibble-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<1x3x8x8xf32>, %w: tensor<4x2x3x3xf32>) {
  // expected-error @+1 {{expected 2 input channels for weight_shape [4, 2, 3, 3] and group 1, got [3]}}
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 2, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
    : (tensor<1x3x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x6x6xf32>
  return
}

// -----

func.func @f(%x: tensor<1x2x8x8xf32>, %w: tensor<4x2x3x3xf32>) {
  // expected-error @+1 {{expected a result of shape [1, 4, 4, 4], got [1, 4, 3, 3]}}
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 2, 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
    : (tensor<1x2x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x3x3xf32>
  return
}

// -----

func.func @f(%x: tensor<1x2x8x8xf32>, %w: tensor<4x2x3x3xf32>) {
  // expected-error @+1 {{expected 4 pads, got 2}}
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 2, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1>}
    : (tensor<1x2x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x8x8xf32>
  return
}

// -----

func.func @f(%x: tensor<1x2x8x8xf32>, %w: tensor<4x2x3x3xf32>) {
  // expected-error @+1 {{expected strides of at least 1, got 0}}
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 2, 3, 3>, strides = array<i64: 0, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
    : (tensor<1x2x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x8x8xf32>
  return
}

// -----

func.func @f(%x: tensor<1x6x8xf32>, %w: tensor<4x2x3xf32>) {
  // expected-error @+1 {{expected a group that divides the 4 output channels, got 3}}
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 2, 3>, strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 1, 1>, group = 3 : i64}
    : (tensor<1x6x8xf32>, tensor<4x2x3xf32>) -> tensor<1x4x8xf32>
  return
}

// -----

func.func @f(%x: tensor<1x2x2xf32>, %w: tensor<4x2x3xf32>) {
  // expected-error @+1 {{expected a padded input of at least 5 in spatial dimension 0, got 4}}
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 2, 3>, strides = array<i64: 1>, dilations = array<i64: 2>, pads = array<i64: 1, 1>}
    : (tensor<1x2x2xf32>, tensor<4x2x3xf32>) -> tensor<1x4x1xf32>
  return
}
