// RUN: nibble-opt %s --convert-nibble-to-cuda --canonicalize --cse | FileCheck %s

// Products whose groups the better kernels do not take read codes in panels; no float copy of a weight is in memory. The
// weight that a kernel reads is marked for the device.

#w4 = #nibble.scheme<int4, group = 20, scale = f16, packing = panel>

// CHECK-LABEL: func.func @main_graph(
// CHECK: nibble.weight {nibble.on_device} dense<1>
// CHECK: nibble.weight {nibble.on_device} dense<2.0
// CHECK: nibble.weight dense<3.0
// CHECK-NOT: nibble.on_device
// CHECK-NOT: nibble.matmul
// CHECK: gpu.launch_func @nibble_kernels::@nibble_matmul_int4_g20_f16
func.func @main_graph(%x: memref<?x64xf32>, %y: memref<?x32xf32>) attributes {llvm.emit_c_interface} {
  %w = nibble.weight dense<1> : tensor<1x1024xi8> -> memref<1x1024xi8>
  %s = nibble.weight dense<2.0> : tensor<1x4x32xf16> -> memref<1x4x32xf16>
  %unused = nibble.weight dense<3.0> : tensor<32xf32> -> memref<32xf32>
  nibble.matmul %x weight(%w, %s) outs(%y)
    {n = 32 : i64, k = 64 : i64, scheme = #w4, activation = #nibble.activation<relu>}
    : (memref<?x64xf32>, memref<1x1024xi8>, memref<1x4x32xf16>, memref<?x32xf32>) -> ()
  %c0 = arith.constant 0 : index
  %v = memref.load %unused[%c0] : memref<32xf32>
  memref.store %v, %y[%c0, %c0] : memref<?x32xf32>
  return
}

// CHECK: gpu.func @nibble_matmul_int4_g20_f16
// CHECK-SAME: memref<?xf32>, %{{.*}}: memref<?xi8>, %{{.*}}: memref<?xf16>, %{{.*}}: memref<?xf32>, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index) kernel
// CHECK-SAME: nibble.access = "rrrw---"
// CHECK-NOT: memref.alloc
// CHECK: scf.for
// CHECK: scf.for {{.*}} iter_args
// CHECK-DAG: memref.load %{{.*}} : memref<?xf16>
// CHECK-DAG: memref.load %{{.*}} : memref<?xi8>
// CHECK: math.fma
// CHECK: arith.cmpf olt
// CHECK: memref.store
