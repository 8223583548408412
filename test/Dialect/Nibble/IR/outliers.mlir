// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" | FileCheck %s --check-prefix=BUFFER

// The two operations of LLM.int8, on tensors and as buffers.

// CHECK-LABEL: func.func @product(
// BUFFER-LABEL: func.func @product(
// BUFFER-SAME: %[[X:.+]]: memref<?x8xf32>, %[[W:.+]]: memref<8x5xi8>, %[[S:.+]]: memref<5xf32>)
func.func @product(%x: tensor<?x8xf32>, %w: tensor<8x5xi8>, %s: tensor<5xf32>) -> (tensor<?x5xf32>, tensor<?xf32>) {
  // CHECK: %[[Q:.+]]:4 = nibble.quantize_outliers %[[X:.+]] {threshold = 6.000000e+00 : f32} : (tensor<?x8xf32>) -> (tensor<?x8xi8>, tensor<?xf32>, tensor<8xi32>, tensor<1xi32>)
  // BUFFER: %[[D:.+]] = memref.dim %[[X]], %{{.+}}
  // BUFFER: %[[CODES:.+]] = memref.alloc(%{{.+}}) {{.*}} : memref<?x8xi8>
  // BUFFER: %[[SCALES:.+]] = memref.alloc(%{{.+}}) {{.*}} : memref<?xf32>
  // BUFFER: %[[COLUMNS:.+]] = memref.alloc() {{.*}} : memref<8xi32>
  // BUFFER: %[[COUNT:.+]] = memref.alloc() {{.*}} : memref<1xi32>
  // BUFFER: nibble.quantize_outliers %[[X]] outs(%[[CODES]], %[[SCALES]], %[[COLUMNS]], %[[COUNT]]) {threshold = 6.000000e+00 : f32}
  %codes, %scales, %columns, %count = nibble.quantize_outliers %x {threshold = 6.0 : f32}
    : (tensor<?x8xf32>) -> (tensor<?x8xi8>, tensor<?xf32>, tensor<8xi32>, tensor<1xi32>)
  // CHECK: %[[R:.+]] = nibble.matmul_outliers %[[X]], %[[Q]]#2, %[[Q]]#3 weight(%{{.+}} scales %{{.+}}) {k = 8 : i64, layers = ["fc"], n = 5 : i64}
  // BUFFER: %[[OUT:.+]] = memref.alloc(%{{.+}}) {{.*}} : memref<?x5xf32>
  // BUFFER: nibble.matmul_outliers %[[X]], %[[COLUMNS]], %[[COUNT]] weight(%[[W]] scales %[[S]]) outs(%[[OUT]])
  %r = nibble.matmul_outliers %x, %columns, %count weight(%w scales %s) {n = 5 : i64, k = 8 : i64, layers = ["fc"]}
    : (tensor<?x8xf32>, tensor<8xi32>, tensor<1xi32>, tensor<8x5xi8>, tensor<5xf32>) -> tensor<?x5xf32>
  // CHECK: nibble.matmul_outliers %[[X]], %[[Q]]#2, %[[Q]]#3 weight(%{{.+}} scales %{{.+}}) residual(%[[R]])
  %y = nibble.matmul_outliers %x, %columns, %count weight(%w scales %s) residual(%r) {n = 5 : i64, k = 8 : i64}
    : (tensor<?x8xf32>, tensor<8xi32>, tensor<1xi32>, tensor<8x5xi8>, tensor<5xf32>, tensor<?x5xf32>) -> tensor<?x5xf32>
  return %y, %scales : tensor<?x5xf32>, tensor<?xf32>
}

// CHECK-LABEL: func.func @packed(
func.func @packed(%x: memref<2x40xf32>, %i: memref<40xi32>, %c: memref<1xi32>, %w: memref<2x10x32x4xi8>, %s: memref<33xf32>, %o: memref<2x33xf32>) {
  // CHECK: nibble.matmul_outliers {{.*}} outs(%{{.+}}) {k = 40 : i64, n = 33 : i64, packed}
  nibble.matmul_outliers %x, %i, %c weight(%w scales %s) outs(%o) {n = 33 : i64, k = 40 : i64, packed}
    : (memref<2x40xf32>, memref<40xi32>, memref<1xi32>, memref<2x10x32x4xi8>, memref<33xf32>, memref<2x33xf32>) -> ()
  return
}
