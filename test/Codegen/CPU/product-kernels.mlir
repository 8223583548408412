// RUN: nibble-opt %s --convert-nibble-to-kernels | FileCheck %s
// RUN: nibble-opt %s --convert-nibble-to-kernels=tiles | FileCheck %s --check-prefix=TILES

// Products of two computed operands: one large, one that may be, one small.

// CHECK-LABEL: func.func @known
func.func @known(%x: memref<512x576xf32>, %w: memref<576x192xf32>) -> memref<512x192xf32> {
  // Zeros are not written if the product does not add to them.
  // CHECK-NOT: linalg
  // CHECK: call @nibble_product_nn(
  // CHECK-NOT: linalg
  %zero = arith.constant 0.0 : f32
  %y = memref.alloc() : memref<512x192xf32>
  linalg.fill ins(%zero : f32) outs(%y : memref<512x192xf32>)
  linalg.matmul ins(%x, %w : memref<512x576xf32>, memref<576x192xf32>) outs(%y : memref<512x192xf32>)
  return %y : memref<512x192xf32>
}

// CHECK-LABEL: func.func @unknown
func.func @unknown(%x: memref<?x?xf32>, %g: memref<?x?xf32>, %y: memref<?x?xf32>) {
  // CHECK: scf.if
  // CHECK-NEXT: call @nibble_product_tn_add(
  // CHECK-NEXT: } else {
  // CHECK-NEXT: linalg.contract
  linalg.contract indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>,
                                   affine_map<(m, n, k) -> (m, n)>]
    ins(%x, %g : memref<?x?xf32>, memref<?x?xf32>) outs(%y : memref<?x?xf32>)
  return
}

// CHECK-LABEL: func.func @small
func.func @small(%x: memref<1x576xf32>, %w: memref<576x192xf32>, %y: memref<1x192xf32>) {
  // CHECK-NOT: call
  // CHECK: linalg.matmul
  linalg.matmul ins(%x, %w : memref<1x576xf32>, memref<576x192xf32>) outs(%y : memref<1x192xf32>)
  return
}

// The left operand in rows is read where it is; one that is transposed, and both for
// tiles, are packed.
// CHECK-LABEL: func.func private @nibble_product_nn(
// CHECK: %[[PANELS:.+]] = memref.alloc
// CHECK: call @nibble_pack_panels_f32(%arg4, %[[PANELS]],
// CHECK: call @nibble_product_f32(%arg0, %[[PANELS]], %arg8,
// CHECK-NEXT: memref.dealloc %[[PANELS]]
// CHECK-LABEL: func.func private @nibble_product_tn_add(
// CHECK: call @nibble_pack_panels_f32(
// CHECK: call @nibble_pack_rows_t_f32(%arg0,
// CHECK: call @nibble_product_f32_add(

// TILES-LABEL: func.func private @nibble_product_nn(
// TILES: call @nibble_rt_has_tiles()
// TILES: scf.if
// TILES: call @nibble_pack_panels_bf16(
// TILES: call @nibble_pack_rows_bf16(
// TILES: call @nibble_product_bf16(
// TILES: } else {
// TILES: call @nibble_product_f32(
// TILES-LABEL: func.func private @nibble_product_bf16(
// TILES-COUNT-4: tdpbf16ps
// Whole tiles go to the result at once.
// TILES: scf.if
// TILES-COUNT-4: tilestored64
// TILES: } else {
