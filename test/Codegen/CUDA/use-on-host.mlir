// RUN: nibble-opt %s --nibble-use-on-host | FileCheck %s

// The runtime hears of the host's reads and writes of what kernels can reach.

// CHECK: func.func private @nibble_rt_use_on_host(i64, i32)
module attributes {gpu.container_module} {
gpu.module @nibble_kernels {
  gpu.func @k(%x: memref<?xf32>) kernel attributes {nibble.access = "b"} {
    gpu.return
  }
}

// CHECK-LABEL: func.func @main_graph(
// CHECK-SAME: %[[IN:.*]]: memref<8xf32>
func.func @main_graph(%in: memref<8xf32>, %n: index) attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  %own = memref.alloc() : memref<4xf32>
  %shared = memref.alloc(%n) : memref<?xf32>
  // No kernel sees this one.
  // CHECK: %[[SHARED:.*]] = memref.alloc(%{{.*}}) : memref<?xf32>
  // CHECK-NEXT: memref.store %{{.*}}, %{{.*}} : memref<4xf32>
  memref.store %one, %own[%c0] : memref<4xf32>
  // All of it is written: what the device has need not be copied.
  // CHECK: %[[P:.*]] = memref.extract_aligned_pointer_as_index %[[SHARED]]
  // CHECK: %[[A:.*]] = arith.index_cast %[[P]] : index to i64
  // CHECK: %[[WRITE:.*]] = arith.constant 2 : i32
  // CHECK: call @nibble_rt_use_on_host(%[[A]], %[[WRITE]])
  // CHECK-NEXT: linalg.fill
  linalg.fill ins(%one : f32) outs(%shared : memref<?xf32>)
  // CHECK: gpu.launch_func
  gpu.launch_func @nibble_kernels::@k blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1)
    args(%shared : memref<?xf32>)
  // CHECK: %[[READ:.*]] = arith.constant 1 : i32
  // CHECK: call @nibble_rt_use_on_host(%{{.*}}, %[[READ]])
  // CHECK-NEXT: memref.load %[[SHARED]]
  %v = memref.load %shared[%c0] : memref<?xf32>
  // Inside of a loop that launches, each operation for itself; others as one.
  // CHECK: scf.for
  scf.for %i = %c0 to %n step %c1 {
    gpu.launch_func @nibble_kernels::@k blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1)
      args(%shared : memref<?xf32>)
    // CHECK: gpu.launch_func
    // CHECK: %[[BOTH:.*]] = arith.constant 3 : i32
    // CHECK: call @nibble_rt_use_on_host(%{{.*}}, %[[BOTH]])
    // CHECK-NEXT: scf.for
    scf.for %j = %c0 to %n step %c1 {
      // CHECK-NEXT: memref.store
      memref.store %v, %shared[%j] : memref<?xf32>
    }
  }
  memref.dealloc %own : memref<4xf32>
  memref.dealloc %shared : memref<?xf32>
  return
}
}
