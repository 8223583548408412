// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// A scheme is composed of parts; only those that differ from nothing print.

// CHECK: a = #nibble.scheme<int4, group = 32, scale = f16, zero = integer, packing = rows>
// CHECK-SAME: b = #nibble.scheme<nf4, group = 64, scale = f32, second = f32 x 256, packing = rows>
// CHECK-SAME: bnb = #nibble.scheme<fp4, group = 128, scale = f32, second = dynamic f32 x 256 offset, packing = rows>
// CHECK-SAME: c = #nibble.scheme<table<[-1.000000e+00, 0.000000e+00, 1.000000e+00]>, group = 1, scale = bf16, group_index, outliers = 3, packing = plain>
module attributes {nibble.schemes = {
  a = #nibble.scheme<int4, group = 32, scale = f16, zero = integer>,
  b = #nibble.scheme<nf4, group = 64, scale = f32, second = f32 x 256>,
  bnb = #nibble.scheme<fp4, group = 128, second = dynamic f32 x 256 offset>,
  c = #nibble.scheme<table<[-1.0, 0.0, 1.0]>, group = 1, scale = bf16, group_index, outliers = 3, packing = plain>
}} {}
