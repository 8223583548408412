// RUN: nibble-opt %s --convert-nibble-to-linalg --canonicalize | FileCheck %s

#tensor = #nibble.scheme<int8, group = 0, scale = f32, zero = integer, packing = plain>
#block = #nibble.scheme<int4, group = 3, scale = f32, packing = plain>

// CHECK-DAG: #[[$ID:.+]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[$ONE:.+]] = affine_map<(d0, d1) -> ()>
// CHECK-DAG: #[[$BLOCK:.+]] = affine_map<(d0, d1) -> (d0, d1 floordiv 3)>

// Divide, round half to even, add the zero point, saturate, convert: in this
// order, and the saturation in float.
// CHECK-LABEL: func.func @unsigned(
func.func @unsigned(%x: tensor<?x8xf32>, %s: tensor<f32>, %z: tensor<i8>) -> tensor<?x8xi8> {
  // CHECK-DAG: %[[LOW:.+]] = arith.constant 0.000000e+00
  // CHECK-DAG: %[[HIGH:.+]] = arith.constant 2.550000e+02
  // CHECK: linalg.generic {indexing_maps = [#[[$ID]], #[[$ONE]], #[[$ONE]], #[[$ID]]]
  // CHECK: ^bb0(%[[X:.+]]: f32, %[[S:.+]]: f32, %[[Z:.+]]: i8, %{{.+}}: i8):
  // CHECK: %[[ZF:.+]] = arith.uitofp %[[Z]]
  // CHECK: %[[D:.+]] = arith.divf %[[X]], %[[S]]
  // CHECK: %[[R:.+]] = math.roundeven %[[D]]
  // CHECK: %[[A:.+]] = arith.addf %[[R]], %[[ZF]]
  // CHECK: %[[MAX:.+]] = arith.maxnumf %[[A]], %[[LOW]]
  // CHECK: %[[MIN:.+]] = arith.minnumf %[[MAX]], %[[HIGH]]
  // CHECK: %[[I:.+]] = arith.fptosi %[[MIN]] : f32 to i32
  // CHECK: arith.trunci %[[I]] : i32 to i8
  %q = nibble.quantize %x, %s, %z {scheme = #tensor, unsigned_codes}
    : (tensor<?x8xf32>, tensor<f32>, tensor<i8>) -> tensor<?x8xi8>
  return %q : tensor<?x8xi8>
}

// A last block may be shorter: 8 values in blocks of 3.
// CHECK-LABEL: func.func @blocks(
func.func @blocks(%x: tensor<4x8xf32>, %s: tensor<4x3xf32>) -> tensor<4x8xi8> {
  // CHECK-DAG: arith.constant -8.000000e+00
  // CHECK-DAG: arith.constant 7.000000e+00
  // CHECK: linalg.generic {indexing_maps = [#[[$ID]], #[[$BLOCK]], #[[$ID]]]
  %q = nibble.quantize %x, %s {scheme = #block}
    : (tensor<4x8xf32>, tensor<4x3xf32>) -> tensor<4x8xi8>
  return %q : tensor<4x8xi8>
}
