// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

#w4 = #nibble.scheme<int4, group = 32, scale = f16, zero = integer, packing = rows>
#w8 = #nibble.scheme<int8, group = -1, scale = f32, packing = rows>
#panel = #nibble.scheme<int4, group = 32, scale = f16, packing = panel>

// CHECK-LABEL: func.func @matmul(
func.func @matmul(%x: tensor<?x64xf32>, %c: tensor<10x32xi8>, %s: tensor<10x2xf16>, %z: tensor<10x2xi8>, %b: tensor<10xf32>, %r: tensor<?x10xf32>) -> tensor<?x10xf32> {
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}, %{{.+}} zeros %{{.+}}) bias(%{{.+}}) residual(%{{.+}}) {activation = #nibble.activation<gelu_tanh>, k = 64 : i64, layers = ["a", "b"], n = 10 : i64, scheme = #nibble.scheme<int4, group = 32, scale = f16, zero = integer, packing = rows>}
  %y = nibble.matmul %x weight(%c, %s zeros %z) bias(%b) residual(%r)
    {n = 10 : i64, k = 64 : i64, activation = #nibble.activation<gelu_tanh>, layers = ["a", "b"], scheme = #w4}
    : (tensor<?x64xf32>, tensor<10x32xi8>, tensor<10x2xf16>, tensor<10x2xi8>, tensor<10xf32>, tensor<?x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// After bufferization: no result, `outs` last; panels of 32 rows.
// CHECK-LABEL: func.func @on_buffers(
func.func @on_buffers(%x: memref<?x64xf32>, %c: memref<2x1024xi8>, %s: memref<2x2x32xf16>, %f: memref<2x64x32xf32>, %o: memref<?x40xf32>) {
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}, %{{.+}}) outs(%{{.+}}) {{.*}} -> ()
  nibble.matmul %x weight(%c, %s) outs(%o) {n = 40 : i64, k = 64 : i64, scheme = #panel}
    : (memref<?x64xf32>, memref<2x1024xi8>, memref<2x2x32xf16>, memref<?x40xf32>) -> ()
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}) outs(%{{.+}}) {{.*}}packed_float
  nibble.matmul %x weight(%f) outs(%o) {n = 40 : i64, k = 64 : i64, packed_float}
    : (memref<?x64xf32>, memref<2x64x32xf32>, memref<?x40xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @conv_gather(
func.func @conv_gather(%x: tensor<1x2x5x5xf32>, %ids: tensor<3xi32>, %c: tensor<6x8xi8>, %s: tensor<6x1xf32>) -> (tensor<1x4x5x5xf32>, tensor<3x8xf32>) {
  // CHECK: nibble.constant {onnx.name = "w"} dense<5.000000e-01> : tensor<4x2x3x3xf32>
  %w = nibble.constant {onnx.name = "w"} dense<0.5> : tensor<4x2x3x3xf32>
  // CHECK: nibble.conv %{{.+}} weight(%{{.+}}) {dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 1, 1>, weight_shape = array<i64: 4, 2, 3, 3>}
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 2, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
    : (tensor<1x2x5x5xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x5x5xf32>
  // CHECK: nibble.gather %{{.+}} weight(%{{.+}}, %{{.+}}) {rows = 6 : i64, scheme = #nibble.scheme<int8, group = -1, scale = f32, packing = rows>, width = 8 : i64}
  %g = nibble.gather %ids weight(%c, %s) {rows = 6 : i64, width = 8 : i64, scheme = #w8}
    : (tensor<3xi32>, tensor<6x8xi8>, tensor<6x1xf32>) -> tensor<3x8xf32>
  return %y, %g : tensor<1x4x5x5xf32>, tensor<3x8xf32>
}

// CHECK-LABEL: func.func @weight(
func.func @weight() -> memref<4xf32> {
  // CHECK: nibble.weight {onnx.name = "b"} dense<1.000000e+00> : tensor<4xf32> -> memref<4xf32>
  %w = nibble.weight {onnx.name = "b"} dense<1.0> : tensor<4xf32> -> memref<4xf32>
  return %w : memref<4xf32>
}
