// RUN: nibble-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" --canonicalize | FileCheck %s

// Constants become weights, fused operations get a buffer of their own whose
// dynamic sizes come from the input.

// CHECK: #[[$MAP:.+]] = affine_map<()[s0] -> ((s0 - 1) floordiv 2 + 1)>

// CHECK-LABEL: func.func @matmul(
// CHECK-SAME: %[[X:.+]]: memref<?x128xf32>, %[[CODES:.+]]: memref<64x64xi8>, %[[SCALES:.+]]: memref<64x4xf16>)
func.func @matmul(%x: tensor<?x128xf32>, %codes: tensor<64x64xi8>, %scales: tensor<64x4xf16>) -> tensor<?x64xf32> {
  // CHECK: %[[D:.+]] = memref.dim %[[X]], %c0
  // CHECK: %[[OUT:.+]] = memref.alloc(%[[D]]) {{.*}} : memref<?x64xf32>
  // CHECK: nibble.matmul %[[X]] weight(%[[CODES]], %[[SCALES]]) outs(%[[OUT]])
  // CHECK-SAME: layers = ["fc1"]
  // CHECK: return %[[OUT]]
  %y = nibble.matmul %x weight(%codes, %scales)
    {n = 64 : i64, k = 128 : i64, layers = ["fc1"],
     scheme = #nibble.scheme<int4, group = 32, scale = f16, packing = rows>}
    : (tensor<?x128xf32>, tensor<64x64xi8>, tensor<64x4xf16>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: func.func @conv(
func.func @conv(%x: tensor<?x3x?x32xf32>) -> tensor<?x16x?x16xf32> {
  // CHECK: %[[W:.+]] = nibble.weight {onnx.name = "w"} dense<1.000000e+00> : tensor<16x3x3x3xf32> -> memref<16x3x3x3xf32>
  // CHECK: %[[H:.+]] = memref.dim %{{.+}}, %c2
  // CHECK: %[[OH:.+]] = affine.apply #[[$MAP]]()[%[[H]]]
  // CHECK: %[[OUT:.+]] = memref.alloc(%{{.+}}, %[[OH]]) {{.*}} : memref<?x16x?x16xf32>
  // CHECK: nibble.conv %{{.+}} weight(%[[W]]) outs(%[[OUT]])
  %w = nibble.constant {onnx.name = "w"} dense<1.0> : tensor<16x3x3x3xf32>
  %y = nibble.conv %x weight(%w)
    {weight_shape = array<i64: 16, 3, 3, 3>, strides = array<i64: 2, 2>,
     dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
    : (tensor<?x3x?x32xf32>, tensor<16x3x3x3xf32>) -> tensor<?x16x?x16xf32>
  return %y : tensor<?x16x?x16xf32>
}

// CHECK-LABEL: func.func @gather(
func.func @gather(%ids: tensor<2x?xi64>) -> tensor<2x?x8xf32> {
  // CHECK: %[[OUT:.+]] = memref.alloc(%{{.+}}) {{.*}} : memref<2x?x8xf32>
  // CHECK: nibble.gather %{{.+}} weight(%{{.+}}) outs(%[[OUT]])
  %t = nibble.constant dense<1.0> : tensor<100x8xf32>
  %y = nibble.gather %ids weight(%t) {rows = 100 : i64, width = 8 : i64}
    : (tensor<2x?xi64>, tensor<100x8xf32>) -> tensor<2x?x8xf32>
  return %y : tensor<2x?x8xf32>
}

// CHECK-LABEL: func.func @integers(
// CHECK-SAME: %[[X:.+]]: memref<?x8xi8>, %[[W:.+]]: memref<8x5xi8>, %[[S:.+]]: memref<?xf32>)
func.func @integers(%x: tensor<?x8xi8>, %w: tensor<8x5xi8>, %s: tensor<?xf32>) -> tensor<?x5xf32> {
  // CHECK: %[[OUT:.+]] = memref.alloc(%{{.+}}) {{.*}} : memref<?x5xf32>
  // CHECK: nibble.matmul_integer %[[X]] weight(%[[W]]) input_scale(%[[S]]) outs(%[[OUT]])
  %y = nibble.matmul_integer %x weight(%w) input_scale(%s) {n = 5 : i64, k = 8 : i64}
    : (tensor<?x8xi8>, tensor<8x5xi8>, tensor<?xf32>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}
