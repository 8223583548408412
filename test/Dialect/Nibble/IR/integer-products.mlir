// RUN: nibble-opt %s | nibble-opt | FileCheck %s

// CHECK-LABEL: func.func @sums(
func.func @sums(%x: tensor<2x?x8xi8>, %w: tensor<8x5xi8>, %xz: tensor<2x?xi8>, %wz: tensor<5xi8>, %b: tensor<5xi32>) -> tensor<2x?x5xi32> {
  // CHECK: nibble.matmul_integer %{{.+}} weight(%{{.+}} zeros %{{.+}}) input_zero(%{{.+}}) bias(%{{.+}}) {k = 8 : i64, n = 5 : i64, unsigned_input}
  %y = nibble.matmul_integer %x weight(%w zeros %wz) input_zero(%xz) bias(%b) {n = 5 : i64, k = 8 : i64, unsigned_input}
    : (tensor<2x?x8xi8>, tensor<8x5xi8>, tensor<5xi8>, tensor<2x?xi8>, tensor<5xi32>) -> tensor<2x?x5xi32>
  return %y : tensor<2x?x5xi32>
}

// One weight for each matrix of the input.
// CHECK-LABEL: func.func @batch(
func.func @batch(%x: tensor<2x3x8xi8>, %w: tensor<2x5x8xi8>) -> tensor<2x3x5xi32> {
  // CHECK: nibble.matmul_integer %{{.+}} weight(%{{.+}}) {k = 8 : i64, n = 5 : i64, transpose_weight}
  %y = nibble.matmul_integer %x weight(%w) {n = 5 : i64, k = 8 : i64, transpose_weight}
    : (tensor<2x3x8xi8>, tensor<2x5x8xi8>) -> tensor<2x3x5xi32>
  return %y : tensor<2x3x5xi32>
}

// CHECK-LABEL: func.func @packed(
func.func @packed(%x: memref<?x70xi8>, %w: memref<2x32x32x4xi8>, %sums: memref<40xi32>, %s: memref<40xf32>, %xs: memref<?xf32>, %r: memref<?x40xf32>, %y: memref<?x40xf32>) {
  // CHECK: nibble.matmul_integer %{{.+}} weight(%{{.+}} sums %{{.+}} scales %{{.+}}) input_scale(%{{.+}}) residual(%{{.+}}) outs(%{{[^)]+}}) {{{.*}}packed}
  nibble.matmul_integer %x weight(%w sums %sums scales %s) input_scale(%xs) residual(%r) outs(%y) {n = 40 : i64, k = 70 : i64, packed}
    : (memref<?x70xi8>, memref<2x32x32x4xi8>, memref<40xi32>, memref<40xf32>, memref<?xf32>, memref<?x40xf32>, memref<?x40xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @conv(
func.func @conv(%x: tensor<?x8x?x9xi8>, %w: tensor<6x4x3x3xi8>, %z: tensor<i8>, %s: tensor<f32>) -> tensor<?x6x?x5xi8> {
  // CHECK: nibble.conv_integer %{{.+}} weight(%{{.+}} scales %{{.+}}) output_scale(%{{.+}}) output_zero(%{{.+}}) {{{.*}}group = 2 : i64{{.*}}unsigned_output
  %y = nibble.conv_integer %x weight(%w scales %s) output_scale(%s) output_zero(%z)
    {weight_shape = array<i64: 6, 4, 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
     pads = array<i64: 1, 1, 1, 1>, group = 2 : i64, unsigned_output}
    : (tensor<?x8x?x9xi8>, tensor<6x4x3x3xi8>, tensor<f32>, tensor<f32>, tensor<i8>) -> tensor<?x6x?x5xi8>
  return %y : tensor<?x6x?x5xi8>
}
