// RUN: nibble-opt %s --convert-nibble-to-linalg | FileCheck %s

// Integer products have kernels, up to three spatial dimensions. With more they
// are a sum in 32 bits and a loop that makes the result of it.

// CHECK-LABEL: func.func @kernels(
func.func @kernels(%x: tensor<?x8xi8>, %w: tensor<8x5xi8>, %i: tensor<1x4x8x8xi8>, %f: tensor<6x4x3x3xi8>) -> (tensor<?x5xi32>, tensor<1x6x6x6xi32>) {
  // CHECK: nibble.matmul_integer
  // CHECK: nibble.conv_integer
  %y = nibble.matmul_integer %x weight(%w) {n = 5 : i64, k = 8 : i64}
    : (tensor<?x8xi8>, tensor<8x5xi8>) -> tensor<?x5xi32>
  %c = nibble.conv_integer %i weight(%f)
    {weight_shape = array<i64: 6, 4, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
     pads = array<i64: 0, 0, 0, 0>}
    : (tensor<1x4x8x8xi8>, tensor<6x4x3x3xi8>) -> tensor<1x6x6x6xi32>
  return %y, %c : tensor<?x5xi32>, tensor<1x6x6x6xi32>
}

// Padding has the code of zero.
// CHECK-LABEL: func.func @conv(
// CHECK-SAME: %[[X:[^:]+]]: tensor<1x4x3x3x3x3xi8>, %{{[^:]+}}: tensor<6x2x3x3x3x3xi8>, %[[Z:[^:]+]]: tensor<i8>
func.func @conv(%x: tensor<1x4x3x3x3x3xi8>, %w: tensor<6x2x3x3x3x3xi8>, %z: tensor<i8>) -> tensor<1x6x3x3x3x3xi8> {
  // CHECK: tensor.pad %[[X]] low[0, 0, 1, 1, 1, 1] high[0, 0, 1, 1, 1, 1]
  // CHECK: tensor.extract %[[Z]][]
  // CHECK: arith.extsi %{{.+}} : i8 to i32
  // CHECK: arith.subi
  // CHECK: arith.muli
  // CHECK: math.roundeven
  // CHECK: arith.fptosi
  %y = nibble.conv_integer %x weight(%w) input_zero(%z)
    {weight_shape = array<i64: 6, 2, 3, 3, 3, 3>, strides = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1, 1, 1>,
     pads = array<i64: 1, 1, 1, 1, 1, 1, 1, 1>, group = 2 : i64}
    : (tensor<1x4x3x3x3x3xi8>, tensor<6x2x3x3x3x3xi8>, tensor<i8>) -> tensor<1x6x3x3x3x3xi8>
  return %y : tensor<1x6x3x3x3x3xi8>
}
