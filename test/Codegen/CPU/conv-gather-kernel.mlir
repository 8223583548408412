// RUN: nibble-opt %s --convert-nibble-to-kernels | FileCheck %s

#w3 = #nibble.scheme<int3, group = -1, scale = f16, packing = panel>
#w8 = #nibble.scheme<int8, group = -1, scale = f16, zero = integer, packing = rows>

// CHECK-LABEL: func.func @conv
func.func @conv(%x: memref<?x16x?x?xf32>, %w: memref<1x1728xi8>, %s: memref<1x1x32xf16>,
                %b: memref<32xf32>, %y: memref<?x32x?x?xf32>) {
  // The shape of the filter is part of the kernel, sizes are arguments.
  // CHECK: call @nibble_conv_int3_f16_k1x3x3_s1x1x1_d1x1x1_p0x1x1_bias_relu(
  nibble.conv %x weight(%w, %s) bias(%b) outs(%y) {weight_shape = array<i64: 32, 16, 3, 3>,
      strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>,
      activation = #nibble.activation<relu>, layers = ["conv1"], scheme = #w3}
    : (memref<?x16x?x?xf32>, memref<1x1728xi8>, memref<1x1x32xf16>, memref<32xf32>,
       memref<?x32x?x?xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @gather
func.func @gather(%i: memref<?x?xi64>, %w: memref<100x40xi8>, %s: memref<100x1xf16>,
                  %z: memref<100x1xi8>, %y: memref<?x?x40xf32>) {
  // Indices are checked before threads start.
  // CHECK: %[[OK:.*]]:2 = scf.for
  // CHECK: cf.assert %[[OK]]#0, "layer \22embed\22: an index is out of range for a table of 100 rows"
  // CHECK: call @nibble_gather_int8_f16_z_100x40_i64(
  nibble.gather %i weight(%w, %s zeros %z) outs(%y) {rows = 100 : i64, width = 40 : i64,
      layers = ["embed"], scheme = #w8}
    : (memref<?x?xi64>, memref<100x40xi8>, memref<100x1xf16>, memref<100x1xi8>,
       memref<?x?x40xf32>) -> ()
  return
}

// A table in panels, which a product reads as well.
// CHECK-LABEL: func.func @shared
func.func @shared(%i: memref<?xi64>, %w: memref<4x40x32xf32>, %y: memref<?x40xf32>) {
  // CHECK: call @nibble_gather_f32_panels_100x40_i64(
  nibble.gather %i weight(%w) outs(%y) {rows = 100 : i64, width = 40 : i64}
    : (memref<?xi64>, memref<4x40x32xf32>, memref<?x40xf32>) -> ()
  return
}

// CHECK: func.func private @nibble_conv_int3_f16_k1x3x3_s1x1x1_d1x1x1_p0x1x1_bias_relu
// CHECK: func.func private @nibble_gather_int8_f16_z_100x40_i64
