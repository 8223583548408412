// RUN: nibble-opt %s --nibble-fuse-dequantize | FileCheck %s

#s = #nibble.scheme<int4, group = 32, scale = f16, zero = integer, packing = rows>

// CHECK-LABEL: func.func @matmul(
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>, %[[C:.+]]: tensor<10x32xi8>, %[[S:.+]]: tensor<10x2xf16>, %[[Z:.+]]: tensor<10x2xi8>)
func.func @matmul(%x: tensor<?x64xf32>, %c: tensor<10x32xi8>, %s: tensor<10x2xf16>, %z: tensor<10x2xi8>) -> tensor<?x10xf32> {
  // CHECK-NOT: nibble.dequantize
  // CHECK: nibble.matmul %[[X]] weight(%[[C]], %[[S]] zeros %[[Z]]) {{.*}}scheme = #nibble.scheme<int4, group = 32, scale = f16, zero = integer, packing = rows>
  %w = nibble.dequantize %c, %s zeros %z {scheme = #s, transpose} : (tensor<10x32xi8>, tensor<10x2xf16>, tensor<10x2xi8>) -> tensor<64x10xf32>
  %y = nibble.matmul %x weight(%w) {n = 10 : i64, k = 64 : i64} : (tensor<?x64xf32>, tensor<64x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// CHECK-LABEL: func.func @conv(
func.func @conv(%x: tensor<1x64x8xf32>, %c: tensor<10x32xi8>, %s: tensor<10x2xf16>, %z: tensor<10x2xi8>) -> tensor<1x10x8xf32> {
  // CHECK-NOT: nibble.dequantize
  // CHECK: nibble.conv %{{.+}} weight(%{{.+}}, %{{.+}} zeros %{{.+}})
  %w = nibble.dequantize %c, %s zeros %z {scheme = #s} : (tensor<10x32xi8>, tensor<10x2xf16>, tensor<10x2xi8>) -> tensor<10x64x1xf32>
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 10, 64, 1>, strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
    : (tensor<1x64x8xf32>, tensor<10x64x1xf32>) -> tensor<1x10x8xf32>
  return %y : tensor<1x10x8xf32>
}

// Rows of the codes that are the contraction of the product can't be read.
// CHECK-LABEL: func.func @other_rows(
func.func @other_rows(%x: tensor<?x10xf32>, %c: tensor<10x32xi8>, %s: tensor<10x2xf16>, %z: tensor<10x2xi8>) -> tensor<?x64xf32> {
  // CHECK: nibble.dequantize
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}) {k = 10
  %w = nibble.dequantize %c, %s zeros %z {scheme = #s} : (tensor<10x32xi8>, tensor<10x2xf16>, tensor<10x2xi8>) -> tensor<10x64xf32>
  %y = nibble.matmul %x weight(%w) {n = 64 : i64, k = 10 : i64} : (tensor<?x10xf32>, tensor<10x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
