// RUN: nibble-opt %s --nibble-pack-weights | FileCheck %s

// Four steps of the contraction side by side for each of 32 channels, signed,
// and the sums over them without their zero points.

// CHECK-LABEL: func.func @matmul(
func.func @matmul(%x: tensor<?x3xi8>) -> tensor<?x2xi32> {
  // [K, N] = [[1, 4], [2, 5], [3, 6]], moved from unsigned codes by 128; the
  // zero points are 1 and 2, so that the sums are 3 and 9.
  // CHECK-DAG: %[[W:.+]] = nibble.constant dense<"0x81828300848586000000
  // CHECK-DAG: %[[S:.+]] = nibble.constant dense<[3, 9]> : tensor<2xi32>
  // CHECK: nibble.matmul_integer %{{.+}} weight(%[[W]] zeros %{{.+}} sums %[[S]]) {{{.*}}packed
  // CHECK-SAME: tensor<1x1x32x4xi8>
  %w = nibble.constant dense<[[1, 4], [2, 5], [3, 6]]> : tensor<3x2xi8>
  %z = arith.constant dense<[1, 2]> : tensor<2xi8>
  %y = nibble.matmul_integer %x weight(%w zeros %z) {n = 2 : i64, k = 3 : i64, unsigned_weight}
    : (tensor<?x3xi8>, tensor<3x2xi8>, tensor<2xi8>) -> tensor<?x2xi32>
  return %y : tensor<?x2xi32>
}

// A weight that is known at run time only is packed there, and small groups are
// read as they are.
// CHECK-LABEL: func.func @kept(
func.func @kept(%x: tensor<?x3xi8>, %w: tensor<3x2xi8>, %i: tensor<?x4x8x8xi8>) -> (tensor<?x2xi32>, tensor<?x4x6x6xi32>) {
  // CHECK: nibble.matmul_integer %{{.+}} weight(%{{[^ ]+}}) {k = 3 : i64, n = 2 : i64}
  // CHECK: nibble.conv_integer
  // CHECK-SAME: tensor<4x1x3x3xi8>
  %y = nibble.matmul_integer %x weight(%w) {n = 2 : i64, k = 3 : i64}
    : (tensor<?x3xi8>, tensor<3x2xi8>) -> tensor<?x2xi32>
  %f = nibble.constant dense<1> : tensor<4x1x3x3xi8>
  %c = nibble.conv_integer %i weight(%f) {weight_shape = array<i64: 4, 1, 3, 3>, strides = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 4 : i64}
    : (tensor<?x4x8x8xi8>, tensor<4x1x3x3xi8>) -> tensor<?x4x6x6xi32>
  return %y, %c : tensor<?x2xi32>, tensor<?x4x6x6xi32>
}

// Channels of a convolution in quads for each tap: 5 channels are two quads.
// CHECK-LABEL: func.func @conv(
func.func @conv(%x: tensor<?x5x8x8xi8>) -> tensor<?x40x6x6xi32> {
  // CHECK: nibble.conv_integer
  // CHECK-SAME: tensor<2x32x32x4xi8>
  %f = nibble.constant dense<1> : tensor<40x5x3x3xi8>
  %y = nibble.conv_integer %x weight(%f) {weight_shape = array<i64: 40, 5, 3, 3>, strides = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
    : (tensor<?x5x8x8xi8>, tensor<40x5x3x3xi8>) -> tensor<?x40x6x6xi32>
  return %y : tensor<?x40x6x6xi32>
}
