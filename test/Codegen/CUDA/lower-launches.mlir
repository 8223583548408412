// RUN: nibble-opt %s --nibble-lower-launches --canonicalize | FileCheck %s

// CHECK: nibble.kernels = [{name = "k", parameters = "rr-----ww----", shared_bytes = 1024 : i64}]
module attributes {gpu.container_module} {
gpu.module @nibble_kernels {
  gpu.func @k(%x: memref<?x4xf32>, %y: memref<?xf16>, %f: f32)
      kernel attributes {nibble.access = "rw-", nibble.shared_bytes = 1024 : i64} {
    gpu.return
  }
}

// CHECK: llvm.func @nibble_rt_launch(i32, !llvm.ptr)
// CHECK-LABEL: func.func @main_graph(
// CHECK-SAME: %[[X:.*]]: memref<?x4xf32>, %[[Y:.*]]: memref<?xf16>, %[[F:.*]]: f32, %[[N:.*]]: index
// CHECK: %[[COUNT:.*]] = llvm.mlir.constant(19 : i64) : i64
// CHECK: %[[WORDS:.*]] = llvm.alloca %[[COUNT]] x i64
func.func @main_graph(%x: memref<?x4xf32>, %y: memref<?xf16>, %f: f32, %n: index) attributes {llvm.emit_c_interface} {
  %c1 = arith.constant 1 : index
  %c256 = arith.constant 256 : index
  // CHECK: %[[GRID:.*]] = arith.index_cast %[[N]] : index to i64
  // CHECK: memref.extract_aligned_pointer_as_index %[[X]]
  // CHECK: memref.extract_strided_metadata %[[X]]
  // CHECK: memref.extract_aligned_pointer_as_index %[[Y]]
  // CHECK: arith.bitcast %[[F]] : f32 to i32
  // CHECK: arith.extui %{{.*}} : i32 to i64
  // CHECK: llvm.store %[[GRID]], %{{.*}} : i64, !llvm.ptr
  // CHECK-NOT: gpu.launch_func
  // CHECK: llvm.call @nibble_rt_launch(%{{.*}}, %[[WORDS]])
  gpu.launch_func @nibble_kernels::@k blocks in (%n, %c1, %c1) threads in (%c256, %c1, %c1)
    args(%x : memref<?x4xf32>, %y : memref<?xf16>, %f : f32)
  return
}
}
