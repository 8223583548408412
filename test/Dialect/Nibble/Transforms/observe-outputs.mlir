// RUN: nibble-opt %s --nibble-observe-outputs | FileCheck %s

// Outputs of layers are shown as numbers, with the names of all that was fused.

// CHECK-LABEL: func.func @float(
func.func @float(%x: tensor<?x8xf32>, %w: tensor<8x10xf32>) -> tensor<?x10xf32> {
  // CHECK: %[[Y:.+]] = nibble.matmul
  // CHECK-NEXT: nibble.observe %[[Y]] {id = 0 : i64, layers = ["fc", "relu"], onnx.name = "fc"} : tensor<?x10xf32>
  %y = nibble.matmul %x weight(%w) {n = 10 : i64, k = 8 : i64, layers = ["fc", "relu"],
    activation = #nibble.activation<relu>} : (tensor<?x8xf32>, tensor<8x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// CHECK-LABEL: func.func @codes(
func.func @codes(%x: tensor<?x8xi8>, %w: tensor<8x10xi8>, %s: tensor<f32>, %z: tensor<1xi8>) -> tensor<?x10xi8> {
  // CHECK: %[[Q:.+]] = nibble.matmul_integer
  // CHECK: %[[S:.+]] = tensor.extract %{{.+}}[] : tensor<f32>
  // CHECK: %[[E:.+]] = tensor.extract %{{.+}}[%{{.+}}] : tensor<1xi8>
  // CHECK: %[[I:.+]] = arith.extui %[[E]] : i8 to i32
  // CHECK: %[[Z:.+]] = arith.sitofp %[[I]] : i32 to f32
  // CHECK: %[[Y:.+]] = linalg.generic {{.*}} ins(%[[Q]] : tensor<?x10xi8>)
  // CHECK: arith.extui
  // CHECK: %[[D:.+]] = arith.subf %{{.+}}, %[[Z]] : f32
  // CHECK: arith.mulf %[[D]], %[[S]] : f32
  // CHECK: nibble.observe %[[Y]] {id = 1 : i64, layers = ["q"], onnx.name = "q"} : tensor<?x10xf32>
  // CHECK: return %[[Q]]
  %y = nibble.matmul_integer %x weight(%w) output_scale(%s) output_zero(%z)
    {n = 10 : i64, k = 8 : i64, unsigned_output, layers = ["q"]}
    : (tensor<?x8xi8>, tensor<8x10xi8>, tensor<f32>, tensor<1xi8>) -> tensor<?x10xi8>
  return %y : tensor<?x10xi8>
}

// Sums without scales stand for nothing yet.

// CHECK-LABEL: func.func @sums(
// CHECK-NOT: nibble.observe
func.func @sums(%x: tensor<?x8xi8>, %w: tensor<8x10xi8>) -> tensor<?x10xi32> {
  %y = nibble.matmul_integer %x weight(%w) {n = 10 : i64, k = 8 : i64, layers = ["s"]}
    : (tensor<?x8xi8>, tensor<8x10xi8>) -> tensor<?x10xi32>
  return %y : tensor<?x10xi32>
}
