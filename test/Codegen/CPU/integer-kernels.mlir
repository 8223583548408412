// RUN: nibble-opt %s --convert-nibble-to-kernels="vnni" | FileCheck %s --check-prefixes=CHECK,VNNI
// RUN: nibble-opt %s --convert-nibble-to-kernels="avx512=false" | FileCheck %s --check-prefixes=CHECK,AVX2

// Products of unsigned and signed bytes, exact on every CPU, and what follows
// the sums in the same kernel: no sums in memory.

// CHECK-LABEL: func.func @matmul(
// CHECK-NOT: memref.alloc
// CHECK: call @nibble_matmul_integer_u8s8_xz1_xsn_wsn_relu_f32(
// CHECK-LABEL: func.func @signed(
// Signed codes are moved by 128, once, and filled up to whole quads.
// CHECK: %[[ROWS:.+]] = memref.alloc(%{{.+}}) {{.*}} : memref<?xi8>
// CHECK: call @nibble_prepare_rows_flip(
// CHECK: call @nibble_matmul_integer_s8s8_wsn_ys_to_s8(%[[ROWS]]
// CHECK: memref.dealloc %[[ROWS]]
// CHECK-LABEL: func.func @conv(
// CHECK: call @nibble_prepare_quads_z1_p0x1x1(
// CHECK: call @nibble_conv_integer_k1x3x3_s1x1x1_d1x1x1_u8s8_xz1_wsn_ibias_f32(
// CHECK-LABEL: func.func @depthwise(
// CHECK-NOT: memref.alloc
// CHECK: call @nibble_conv_integer_planes_c1_p0_p1_p1_k1x3x3_s1x1x1_d1x1x1_u8s8_i32(

// CHECK: func.func private @nibble_matmul_integer_u8s8_xz1_xsn_wsn_relu_f32
// CHECK-SAME: nibble.kernel
// CHECK-NOT: memref<{{.*}}xi32>
// VNNI: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%{{.+}}) : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"(%{{.+}}) : (vector<16xi16>, vector<16xi16>) -> vector<8xi32>
// CHECK: arith.sitofp
func.func @matmul(%x: memref<?x64xi8>, %w: memref<2x16x32x4xi8>, %sums: memref<40xi32>, %s: memref<40xf32>,
                  %z: memref<i8>, %xs: memref<?xf32>, %y: memref<?x40xf32>) {
  nibble.matmul_integer %x weight(%w sums %sums scales %s) input_zero(%z) input_scale(%xs) outs(%y)
    {n = 40 : i64, k = 64 : i64, packed, unsigned_input, activation = #nibble.activation<relu>}
    : (memref<?x64xi8>, memref<2x16x32x4xi8>, memref<40xi32>, memref<40xf32>, memref<i8>, memref<?xf32>, memref<?x40xf32>) -> ()
  return
}

func.func @signed(%x: memref<?x63xi8>, %w: memref<2x16x32x4xi8>, %sums: memref<40xi32>, %s: memref<40xf32>,
                  %ys: memref<f32>, %y: memref<?x40xi8>) {
  nibble.matmul_integer %x weight(%w sums %sums scales %s) output_scale(%ys) outs(%y)
    {n = 40 : i64, k = 63 : i64, packed}
    : (memref<?x63xi8>, memref<2x16x32x4xi8>, memref<40xi32>, memref<40xf32>, memref<f32>, memref<?x40xi8>) -> ()
  return
}

func.func @conv(%x: memref<1x8x9x9xi8>, %w: memref<1x32x32x4xi8>, %sums: memref<16xi32>, %s: memref<16xf32>,
                %z: memref<i8>, %b: memref<16xi32>, %y: memref<1x16x9x9xf32>) {
  nibble.conv_integer %x weight(%w sums %sums scales %s) input_zero(%z) bias(%b) outs(%y)
    {weight_shape = array<i64: 16, 8, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
     pads = array<i64: 1, 1, 1, 1>, packed, unsigned_input}
    : (memref<1x8x9x9xi8>, memref<1x32x32x4xi8>, memref<16xi32>, memref<16xf32>, memref<i8>, memref<16xi32>, memref<1x16x9x9xf32>) -> ()
  return
}

func.func @depthwise(%x: memref<1x8x9x9xi8>, %w: memref<8x1x3x3xi8>, %y: memref<1x8x9x9xi32>) {
  nibble.conv_integer %x weight(%w) outs(%y)
    {weight_shape = array<i64: 8, 1, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>,
     pads = array<i64: 1, 1, 1, 1>, group = 8 : i64, unsigned_input}
    : (memref<1x8x9x9xi8>, memref<8x1x3x3xi8>, memref<1x8x9x9xi32>) -> ()
  return
}
