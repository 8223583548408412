// RUN: nibble-opt %s --convert-nibble-to-kernels | FileCheck %s

// A mask is read where it is, with a stride of 0 where it is one row for all
// heads; truth values are bytes. Lengths come after it.
// CHECK-LABEL: func.func @padding
// CHECK: %[[MASK:.*]] = builtin.unrealized_conversion_cast %{{.*}} : memref<?xi1> to memref<?xi8>
// CHECK: %[[BYTES:.*]] = memref.cast %[[MASK]] : memref<?xi8> to memref<?xi8, strided<[1], offset: ?>>
// CHECK: call @nibble_attention_f32_dn_f32_dn_groupn_mask_i1_row_lengths_i64_left_softcap(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[BYTES]],
func.func @padding(%q: memref<?x?x?x?xf32>, %k: memref<?x?x?x?xf32>, %m: memref<?x1x1x?xi1>, %n: memref<?xi64>, %y: memref<?x?x?x?xf32>) {
  nibble.attention %q, %k, %k mask(%m) lengths(%n) outs(%y) {left_window = 8 : i64, softcap = 20.0 : f64}
    : (memref<?x?x?x?xf32>, memref<?x?x?x?xf32>, memref<?x?x?x?xf32>, memref<?x1x1x?xi1>, memref<?xi64>, memref<?x?x?x?xf32>) -> ()
  return
}

// Keys in 16 bits become floats a block at a time.
// CHECK-LABEL: func.func @half
// CHECK: call @nibble_attention_f16_d8_bf16_d8_group1_mask_f32_column(
func.func @half(%q: memref<1x2x?x8xf16>, %v: memref<1x2x?x8xbf16>, %m: memref<1x2x?x1xf32>, %y: memref<1x2x?x8xf16>) {
  nibble.attention %q, %q, %v mask(%m) outs(%y)
    : (memref<1x2x?x8xf16>, memref<1x2x?x8xf16>, memref<1x2x?x8xbf16>, memref<1x2x?x1xf32>, memref<1x2x?x8xf16>) -> ()
  return
}

// CHECK: func.func private @nibble_attention_f32_dn_f32_dn_groupn_mask_i1_row_lengths_i64_left_softcap(
// CHECK: vector.maskedload {{.*}} : memref<?xi8, strided<[1], offset: ?>>, vector<16xi1>, vector<16xi8> into vector<16xi8>
// CHECK: math.tanh
// CHECK: func.func private @nibble_attention_f16_d8_bf16_d8_group1_mask_f32_column(
// CHECK: arith.extf {{.*}} : vector<16xf16> to vector<16xf32>
// CHECK: arith.truncf {{.*}} : vector<16xf32> to vector<16xf16>
