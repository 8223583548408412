// RUN: nibble-opt %s --convert-scf-to-openmp --nibble-tune-openmp --convert-scf-to-cf --nibble-lower-assert | FileCheck %s

// In a team of threads a check that fails ends its iteration, not the thread.

// CHECK-DAG: llvm.func @nibble_rt_note_failure(!llvm.ptr, !llvm.ptr) attributes {passthrough = ["cold"]}
// CHECK-DAG: llvm.func @nibble_rt_current_run() -> !llvm.ptr
// CHECK-NOT: nibble_rt_fail

// CHECK-LABEL: func.func @f
func.func @f(%n: index, %at: memref<?xindex>, %out: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  // CHECK: %[[HANDLE:.*]] = llvm.call @nibble_rt_current_run()
  // CHECK-NEXT: omp.parallel
  // CHECK: omp.loop_nest
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    // CHECK: %[[J:.*]] = memref.load %arg1
    // CHECK: %[[OK:.*]] = arith.cmpi ult, %[[J]], %arg0
    // CHECK: cf.cond_br %[[OK]], ^[[NEXT:.*]], ^[[FAIL:.*]]
    // CHECK: ^[[FAIL]]:
    // CHECK: %[[TEXT:.*]] = llvm.mlir.addressof
    // CHECK: llvm.call @nibble_rt_note_failure(%[[HANDLE]], %[[TEXT]])
    // CHECK-NEXT: omp.yield
    // CHECK: ^[[NEXT]]:
    // CHECK: memref.store %{{.*}}, %arg2[%[[J]]]
    // CHECK-NEXT: omp.yield
    %j = memref.load %at[%i] : memref<?xindex>
    %inside = arith.cmpi ult, %j, %n : index
    cf.assert %inside, "an index is out of range"
    memref.store %zero, %out[%j] : memref<?xf32>
  }
  return
}
