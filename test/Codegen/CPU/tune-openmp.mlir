// RUN: nibble-opt %s --convert-scf-to-openmp --nibble-tune-openmp | FileCheck %s

// A loop of one iteration starts no threads; scratch belongs to the thread.

// CHECK-LABEL: func.func @f
// CHECK-SAME: %[[N:.*]]: index
func.func @f(%n: index, %out: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: %[[MANY:.*]] = arith.cmpi sgt, %[[N]], %{{.*}} : index
  // CHECK: omp.parallel if(%[[MANY]]) {
  // CHECK-NEXT: memref.alloca() {alignment = 64 : i64} : memref<64xf32>
  // CHECK: omp.wsloop
  // CHECK-NOT: memref.alloca_scope
  // CHECK: omp.loop_nest
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %scratch = memref.alloca() {alignment = 64 : i64} : memref<64xf32>
    %v = memref.load %scratch[%c0] : memref<64xf32>
    memref.store %v, %out[%i] : memref<?xf32>
  }
  return
}
