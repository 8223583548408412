// RUN: nibble-opt %s --convert-nibble-to-cuda --canonicalize --cse | FileCheck %s

// A long sum along contiguous memory is shared by a warp; a short one is not.

#in = affine_map<(d0, d1) -> (d0, d1)>
#out = affine_map<(d0, d1) -> (d0)>

// CHECK-LABEL: func.func @main_graph(
// CHECK: %[[THREADS:.*]] = arith.muli %{{.*}}, %c32
// CHECK: gpu.launch_func @nibble_kernels::@generic
// CHECK: gpu.launch_func @nibble_kernels::@generic_0
func.func @main_graph(%x: memref<?x512xf32>, %s: memref<?xf32>, %z: memref<?x8xf32>, %t: memref<?xf32>)
    attributes {llvm.emit_c_interface} {
  linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "reduction"]}
    ins(%x : memref<?x512xf32>) outs(%s : memref<?xf32>) {
  ^bb0(%p: f32, %q: f32):
    %0 = arith.mulf %p, %p : f32
    %1 = arith.addf %q, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "reduction"]}
    ins(%z : memref<?x8xf32>) outs(%t : memref<?xf32>) {
  ^bb0(%p: f32, %q: f32):
    %1 = arith.maximumf %q, %p : f32
    linalg.yield %1 : f32
  }
  return
}

// CHECK: gpu.func @generic(
// CHECK-SAME: nibble.access = "rb"
// CHECK: %[[LANE:.*]] = arith.remui %{{.*}}, %c32
// CHECK: scf.for %{{.*}} = %[[LANE]] to %c512 step %c32 iter_args(%{{.*}} = %cst)
// CHECK: gpu.shuffle xor %{{.*}}, %c16_i32, %c32_i32
// CHECK: arith.addf
// CHECK: gpu.shuffle xor %{{.*}}, %c1_i32, %c32_i32
// CHECK: arith.addf
// CHECK: arith.cmpi eq, %[[LANE]], %c0
// CHECK: scf.if

// CHECK: gpu.func @generic_0(
// CHECK-NOT: gpu.shuffle
// CHECK: %[[FIRST:.*]] = memref.load %arg1[%[[I:.*]]]
// CHECK: scf.for %{{.*}} = %c0 to %c8 step %c1 iter_args(%{{.*}} = %[[FIRST]])
// CHECK: arith.maximumf
// CHECK: memref.store %{{.*}}, %arg1[%[[I]]]
