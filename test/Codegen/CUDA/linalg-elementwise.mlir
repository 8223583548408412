// RUN: nibble-opt %s --convert-nibble-to-cuda --canonicalize --cse | FileCheck %s

// A chain that was fused is one kernel; operations with the same code share it.

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>

// CHECK: module attributes {gpu.container_module}
// CHECK-LABEL: func.func @main_graph(
// CHECK-SAME: %[[X:.*]]: memref<?x64xf32>, %[[B:.*]]: memref<64xf32>, %[[Y:.*]]: memref<?x64xf32>
// CHECK: %[[ROWS:.*]] = memref.dim %[[X]], %c0
// CHECK: %[[N:.*]] = arith.muli %[[ROWS]], %c64
// CHECK: %[[UP:.*]] = arith.addi %[[N]], %c255
// CHECK: %[[BLOCKS:.*]] = arith.divui %[[UP]], %c256
// CHECK: %[[GRID:.*]] = arith.minui %[[BLOCKS]], %c65536
// CHECK: gpu.launch_func @nibble_kernels::@generic
// CHECK-SAME: blocks in (%[[GRID]], %c1, %c1) threads in (%c256, %c1, %c1)
// CHECK-SAME: args(%[[X]] : memref<?x64xf32>, %[[B]] : memref<64xf32>, %[[Y]] : memref<?x64xf32>)
// CHECK: gpu.launch_func @nibble_kernels::@generic
// CHECK-SAME: args(%[[Y]] : memref<?x64xf32>, %[[B]] : memref<64xf32>, %[[X]] : memref<?x64xf32>)
func.func @main_graph(%x: memref<?x64xf32>, %b: memref<64xf32>, %y: memref<?x64xf32>)
    attributes {llvm.emit_c_interface} {
  linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
    ins(%x, %b : memref<?x64xf32>, memref<64xf32>) outs(%y : memref<?x64xf32>) {
  ^bb0(%p: f32, %q: f32, %r: f32):
    %0 = arith.addf %p, %q : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
    ins(%y, %b : memref<?x64xf32>, memref<64xf32>) outs(%x : memref<?x64xf32>) {
  ^bb0(%p: f32, %q: f32, %r: f32):
    %0 = arith.addf %p, %q : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// A memref that the threads go through in order needs no indices.
// CHECK: gpu.module @nibble_kernels
// CHECK: gpu.func @generic(%[[X:.*]]: memref<?x64xf32>, %[[B:.*]]: memref<64xf32>, %[[Y:.*]]: memref<?x64xf32>) kernel
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>
// CHECK-SAME: nibble.access = "rrw"
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step
// CHECK: %[[COLUMN:.*]] = arith.remui %[[I]], %c64
// CHECK: %[[FLAT:.*]] = memref.collapse_shape %[[X]]
// CHECK: memref.load %[[FLAT]][%[[I]]]
// CHECK: memref.load %[[B]][%[[COLUMN]]]
// CHECK: math.exp
// CHECK: memref.store
// CHECK-NOT: gpu.func
