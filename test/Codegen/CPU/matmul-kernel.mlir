// RUN: nibble-opt %s --convert-nibble-to-kernels | FileCheck %s

// Two products of different sizes share a kernel; a third with an activation
// gets its own.

#w4 = #nibble.scheme<int4, group = 32, scale = f16, packing = panel>

// CHECK-LABEL: func.func @three
func.func @three(%x: memref<?x128xf32>, %w: memref<2x2048xi8>, %s: memref<2x4x32xf16>,
                 %y: memref<?x64xf32>, %v: memref<1x2048xi8>, %t: memref<1x4x32xf16>,
                 %z: memref<?x10xf32>) {
  // CHECK: %[[FLAT:.*]] = memref.collapse_shape %arg0 {{.*}} into memref<?xf32>
  // CHECK: call @nibble_matmul_int4_g32_f16(%[[FLAT]], {{.*}}) : (memref<?xf32>, memref<?xi8>, memref<?xf16>, memref<?xf32>, index, index, index) -> ()
  nibble.matmul %x weight(%w, %s) outs(%y) {n = 64 : i64, k = 128 : i64, scheme = #w4}
    : (memref<?x128xf32>, memref<2x2048xi8>, memref<2x4x32xf16>, memref<?x64xf32>) -> ()
  // CHECK: call @nibble_matmul_int4_g32_f16(
  nibble.matmul %x weight(%v, %t) outs(%z) {n = 10 : i64, k = 128 : i64, scheme = #w4}
    : (memref<?x128xf32>, memref<1x2048xi8>, memref<1x4x32xf16>, memref<?x10xf32>) -> ()
  // CHECK: call @nibble_matmul_int4_g32_f16_relu(
  nibble.matmul %x weight(%v, %t) outs(%z) {n = 10 : i64, k = 128 : i64, scheme = #w4,
      activation = #nibble.activation<relu>}
    : (memref<?x128xf32>, memref<1x2048xi8>, memref<1x4x32xf16>, memref<?x10xf32>) -> ()
  return
}

// CHECK: func.func private @nibble_matmul_int4_g32_f16({{.*}}) attributes {nibble.kernel} {
// CHECK: scf.parallel
// The codes go straight from memory to registers.
// CHECK: %[[CODES:.*]] = vector.load {{.*}} : memref<?xi8>, vector<16xi8>
// CHECK: arith.extui %[[CODES]] : vector<16xi8> to vector<16xi32>
// CHECK: math.fma {{.*}} : vector<16xf32>
// CHECK: func.func private @nibble_matmul_int4_g32_f16_relu
// CHECK-NOT: func.func
