// RUN: nibble-opt %s -verify-diagnostics -split-input-file

// Attributes of convolutions and pools.

func.func @group(%x: tensor<1x4x8x8xf32>, %w: tensor<4x1x3x3xf32>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{group is 0, expected at least 1}}
  %0 = onnx.Conv(%x, %w, %none) {group = 0 : i64} : (tensor<1x4x8x8xf32>, tensor<4x1x3x3xf32>, none) -> tensor<1x4x6x6xf32>
  return
}

// -----

func.func @pads(%x: tensor<1x4x8x8xf32>, %w: tensor<4x4x3x3xf32>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{pads has 2 elements, expected 4 for X of 'tensor<1x4x8x8xf32>'}}
  %0 = onnx.Conv(%x, %w, %none) {pads = array<i64: 1, 1>} : (tensor<1x4x8x8xf32>, tensor<4x4x3x3xf32>, none) -> tensor<1x4x8x8xf32>
  return
}

// -----

func.func @ranks(%x: tensor<1x4x8x8xf32>, %w: tensor<4x4x3xf32>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{W has type 'tensor<4x4x3xf32>', but X has 'tensor<1x4x8x8xf32>': expected the same rank}}
  %0 = onnx.ConvTranspose(%x, %w, %none) : (tensor<1x4x8x8xf32>, tensor<4x4x3xf32>, none) -> tensor<*xf32>
  return
}

// -----

func.func @auto_pad(%x: tensor<1x4x8x8xf32>) {
  // expected-error@+1 {{auto_pad is 'SAME', expected one of NOTSET, SAME_UPPER, SAME_LOWER, VALID}}
  %0 = onnx.AveragePool(%x) {auto_pad = "SAME", kernel_shape = array<i64: 2, 2>} : (tensor<1x4x8x8xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @stride(%x: tensor<1x4x8x8xf32>) {
  // expected-error@+1 {{strides is 0, expected at least 1}}
  %0:2 = onnx.MaxPool(%x) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 0, 1>} : (tensor<1x4x8x8xf32>) -> (tensor<*xf32>, none)
  return
}

// -----

func.func @rank(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{X has type 'tensor<4x8xf32>', expected rank 3 or more}}
  %0 = onnx.LpPool(%x) {kernel_shape = array<i64: 2>} : (tensor<4x8xf32>) -> tensor<*xf32>
  return
}
