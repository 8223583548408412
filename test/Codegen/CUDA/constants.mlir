// RUN: nibble-opt %s --convert-nibble-to-cuda | FileCheck %s

// A constant of the program becomes a weight, which the device has, too. Truth
// values have no bytes of their own among weights: what reads them stays.

#id = affine_map<(d0) -> (d0)>

memref.global "private" constant @table : memref<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]>
memref.global "private" constant @flags : memref<128xi1> = dense<true>

// CHECK-LABEL: func.func @main_graph(
// CHECK: %[[W:.*]] = nibble.weight {nibble.on_device} dense<[1.{{.*}}]> : tensor<4xf32> -> memref<4xf32>
// CHECK: memref.get_global @flags
// CHECK: gpu.launch_func @nibble_kernels::@generic {{.*}} args(%[[W]] : memref<4xf32>,
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : memref<128xi1>)
func.func @main_graph(%y: memref<4xf32>, %z: memref<128xi1>) attributes {llvm.emit_c_interface} {
  %t = memref.get_global @table : memref<4xf32>
  %f = memref.get_global @flags : memref<128xi1>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%t : memref<4xf32>) outs(%y : memref<4xf32>) {
  ^bb0(%p: f32, %q: f32):
    %0 = arith.mulf %p, %q : f32
    linalg.yield %0 : f32
  }
  %c = memref.cast %f : memref<128xi1> to memref<?xi1>
  %d = memref.cast %c : memref<?xi1> to memref<128xi1>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%d : memref<128xi1>) outs(%z : memref<128xi1>) {
  ^bb0(%p: i1, %q: i1):
    linalg.yield %p : i1
  }
  return
}
