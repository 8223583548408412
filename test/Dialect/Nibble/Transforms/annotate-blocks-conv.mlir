// RUN: nibble-opt %s --nibble-annotate-blocks | FileCheck %s

// A chain: each layer is a block. A shortcut joins the layers that it spans, and
// windows that differ are no stage, although both read one value.
// CHECK-LABEL: func.func @shortcut(
func.func @shortcut(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w3 = nibble.constant dense<1.0> : tensor<4x4x3x3xf32>
  %w1 = nibble.constant dense<1.0> : tensor<4x4x1x1xf32>
  // CHECK: layers = ["stem"], nibble.block = 0 : i64, nibble.stage = 0 : i64
  %0 = nibble.conv %x weight(%w3) {weight_shape = array<i64: 4, 4, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, layers = ["stem"]}
    : (tensor<1x4x8x8xf32>, tensor<4x4x3x3xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: layers = ["first"], nibble.block = 1 : i64, nibble.stage = 1 : i64
  %1 = nibble.conv %0 weight(%w3) {weight_shape = array<i64: 4, 4, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, layers = ["first"]}
    : (tensor<1x4x8x8xf32>, tensor<4x4x3x3xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: layers = ["second"], nibble.block = 1 : i64, nibble.stage = 2 : i64
  %2 = nibble.conv %1 weight(%w3) {weight_shape = array<i64: 4, 4, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, layers = ["second"]}
    : (tensor<1x4x8x8xf32>, tensor<4x4x3x3xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: layers = ["shortcut"], nibble.block = 1 : i64, nibble.stage = 3 : i64
  %3 = nibble.conv %0 weight(%w1) residual(%2) {weight_shape = array<i64: 4, 4, 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, layers = ["shortcut"]}
    : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  // CHECK: layers = ["last"], nibble.block = 2 : i64, nibble.stage = 4 : i64
  %4 = nibble.conv %3 weight(%w1) {weight_shape = array<i64: 4, 4, 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, layers = ["last"]}
    : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  return %4 : tensor<1x4x8x8xf32>
}

// Only layers with a request count; a gap that is no wider than its neighbours
// on both sides ends a block.
// CHECK-LABEL: func.func @requests(
func.func @requests(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %w = nibble.constant dense<1.0> : tensor<6x6xf32>
  // CHECK: layers = ["a"], n = 6 : i64} :
  %0 = nibble.matmul %x weight(%w) {n = 6 : i64, k = 6 : i64, layers = ["a"]} : (tensor<4x6xf32>, tensor<6x6xf32>) -> tensor<4x6xf32>
  // CHECK: layers = ["b"], n = 6 : i64, nibble.block = 0 : i64, nibble.request = {{.*}}, nibble.stage = 0 : i64
  %1 = nibble.matmul %0 weight(%w) {n = 6 : i64, k = 6 : i64, layers = ["b"], nibble.request = {method = "rtn", scheme = #nibble.scheme<int4, group = -1, scale = f16, packing = rows>}}
    : (tensor<4x6xf32>, tensor<6x6xf32>) -> tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}
