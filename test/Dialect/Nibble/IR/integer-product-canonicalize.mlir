// RUN: nibble-opt %s --canonicalize | FileCheck %s

// Zero points that are zero, a bias of zeros and no activation cost nothing.

// CHECK-LABEL: func.func @drop(
func.func @drop(%x: tensor<2x4xi8>, %w: tensor<4x3xi8>) -> tensor<2x3xf32> {
  // CHECK-NOT: constant
  // CHECK: nibble.matmul_integer %{{.+}} weight(%{{.+}}) {k = 4 : i64, n = 3 : i64} :
  %z = arith.constant dense<0> : tensor<i8>
  %wz = arith.constant dense<0> : tensor<3xi8>
  %b = arith.constant dense<0> : tensor<3xi32>
  %y = nibble.matmul_integer %x weight(%w zeros %wz) input_zero(%z) bias(%b) {n = 3 : i64, k = 4 : i64, activation = #nibble.activation<none>}
    : (tensor<2x4xi8>, tensor<4x3xi8>, tensor<3xi8>, tensor<i8>, tensor<3xi32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @keep(
func.func @keep(%x: tensor<2x4xi8>, %w: tensor<4x3xi8>) -> tensor<2x3xi8> {
  // CHECK: nibble.matmul_integer %{{.+}} weight(%{{.+}}) input_zero(%{{.+}}) bias(%{{.+}}) {
  %z = arith.constant dense<1> : tensor<i8>
  %oz = arith.constant dense<0> : tensor<i8>
  %b = arith.constant dense<[0, 0, 1]> : tensor<3xi32>
  %y = nibble.matmul_integer %x weight(%w) input_zero(%z) bias(%b) output_zero(%oz) {n = 3 : i64, k = 4 : i64}
    : (tensor<2x4xi8>, tensor<4x3xi8>, tensor<i8>, tensor<3xi32>, tensor<i8>) -> tensor<2x3xi8>
  return %y : tensor<2x3xi8>
}
