// RUN: nibble-opt %s --convert-nibble-to-linalg | FileCheck %s

// What the kernels do not take is a sum in 32 bits and a loop that makes the
// result of it.

// CHECK: #[[$ROW:.+]] = affine_map<(d0, d1, d2) -> (d0)>
// CHECK-LABEL: func.func @matmul(
func.func @matmul(%x: tensor<?x8xi8>, %w: tensor<8x5xi8>, %xz: tensor<?xi8>, %s: tensor<5xf32>) -> tensor<?x5xf32> {
  // CHECK: linalg.generic {indexing_maps = [#{{.+}}, #{{.+}}, #[[$ROW]], #{{.+}}], iterator_types = ["parallel", "parallel", "reduction"]
  // CHECK: arith.extui %{{.+}} : i8 to i32
  // CHECK: arith.subi
  // CHECK: arith.extsi %{{.+}} : i8 to i32
  // CHECK: arith.muli
  // CHECK: arith.addi
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
  // CHECK: arith.sitofp
  // CHECK: arith.mulf
  %y = nibble.matmul_integer %x weight(%w scales %s) input_zero(%xz) {n = 5 : i64, k = 8 : i64, unsigned_input}
    : (tensor<?x8xi8>, tensor<8x5xi8>, tensor<5xf32>, tensor<?xi8>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

// Padding has the code of zero.
// CHECK-LABEL: func.func @conv(
// CHECK-SAME: %[[X:[^:]+]]: tensor<1x4x8x8xi8>, %{{[^:]+}}: tensor<6x2x3x3xi8>, %[[Z:[^:]+]]: tensor<i8>
func.func @conv(%x: tensor<1x4x8x8xi8>, %w: tensor<6x2x3x3xi8>, %z: tensor<i8>) -> tensor<1x6x8x8xi8> {
  // CHECK: tensor.pad %[[X]] low[0, 0, 1, 1] high[0, 0, 1, 1]
  // CHECK: tensor.extract %[[Z]][]
  // CHECK: math.roundeven
  // CHECK: arith.fptosi
  %y = nibble.conv_integer %x weight(%w) input_zero(%z)
    {weight_shape = array<i64: 6, 2, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
     pads = array<i64: 1, 1, 1, 1>, group = 2 : i64}
    : (tensor<1x4x8x8xi8>, tensor<6x2x3x3xi8>, tensor<i8>) -> tensor<1x6x8x8xi8>
  return %y : tensor<1x6x8x8xi8>
}
