// RUN: nibble-opt %s --convert-scf-to-openmp --nibble-tune-openmp | FileCheck %s

// A loop of one iteration starts no threads; scratch belongs to the thread,
// which takes its share of the loop by its number.

// CHECK-LABEL: func.func @f
// CHECK-SAME: %[[N:.*]]: index
func.func @f(%n: index, %out: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: %[[MANY:.*]] = arith.cmpi sgt, %[[N]], %{{.*}} : index
  // CHECK: omp.parallel if(%[[MANY]]) {
  // CHECK-NEXT: memref.alloca() {alignment = 64 : i64} : memref<64xf32>
  // CHECK-NOT: omp.wsloop
  // CHECK: call @omp_get_thread_num
  // CHECK: call @omp_get_num_threads
  // CHECK: %[[BEGIN:.*]] = arith.divsi
  // CHECK: %[[END:.*]] = arith.divsi
  // CHECK-NOT: memref.alloca_scope
  // CHECK: scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %scratch = memref.alloca() {alignment = 64 : i64} : memref<64xf32>
    %v = memref.load %scratch[%c0] : memref<64xf32>
    memref.store %v, %out[%i] : memref<?xf32>
  }
  return
}

// A loop with a check stays the library's: the check ends an iteration of it.

// CHECK-LABEL: func.func @checked
func.func @checked(%n: index, %ok: memref<?xi1>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: omp.wsloop
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %good = memref.load %ok[%i] : memref<?xi1>
    cf.assert %good, "bad"
  }
  return
}
