// RUN: nibble-opt %s --convert-nibble-to-cuda --canonicalize --cse | FileCheck %s

// Products of codes in groups of 16, 32, ...: the codes are packed again, and an
// unknown number of rows is one at a time in a step of generation, else eight.

#w4 = #nibble.scheme<int4, group = 32, scale = f16, packing = panel>

// CHECK-LABEL: func.func @main_graph(
// CHECK-SAME: %[[X:.*]]: memref<?x64xf32>
// CHECK-DAG: nibble.weight {nibble.on_device} {{.*}} : tensor<1x2x32xf16> -> memref<1x2x32xf16>
// CHECK-DAG: nibble.weight {nibble.on_device} {{.*}} : tensor<1024xi8> -> memref<1024xi8>
// CHECK: %[[ROWS:.*]] = memref.dim %[[X]], %c0
// CHECK: %[[ONE:.*]] = arith.cmpi ule, %[[ROWS]], %c1
// CHECK: scf.if %[[ONE]] {
// CHECK: gpu.launch_func @nibble_kernels::@nibble_gemv_int4_32x64_g32_f16_r1
// CHECK-SAME: threads in (%c32, %c1, %c1)
// CHECK: } else {
// CHECK: arith.ceildivui %[[ROWS]], %c8
// CHECK: gpu.launch_func @nibble_kernels::@nibble_gemv_int4_32x64_g32_f16_r8
func.func @main_graph(%x: memref<?x64xf32>, %y: memref<?x32xf32>) attributes {llvm.emit_c_interface} {
  %w = nibble.weight dense<1> : tensor<1x1024xi8> -> memref<1x1024xi8>
  %s = nibble.weight dense<2.0> : tensor<1x2x32xf16> -> memref<1x2x32xf16>
  nibble.matmul %x weight(%w, %s) outs(%y) {n = 32 : i64, k = 64 : i64, scheme = #w4}
    : (memref<?x64xf32>, memref<1x1024xi8>, memref<1x2x32xf16>, memref<?x32xf32>) -> ()
  return
}

// CHECK: gpu.func @nibble_gemv_int4_32x64_g32_f16_r1(
// CHECK-SAME: nibble.access = "rrrw-"
// CHECK-SAME: nibble.shared_bytes
