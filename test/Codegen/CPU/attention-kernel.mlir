// RUN: nibble-opt %s --convert-nibble-to-kernels | FileCheck %s

// Memory does not grow with the number of queries or keys: what a task needs is
// of constant size on its stack. What steps of generation leave is bounded by
// the number of tasks (64) and rows (12).
// CHECK-LABEL: func.func @prefill
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy
// CHECK: call @nibble_attention_f32_d64_f32_d64_group3_reach(
// CHECK-NEXT: return
func.func @prefill(%q: memref<1x?x9x64xf32>, %k: memref<1x3x?x64xf32, strided<[?, ?, ?, 1], offset: ?>>,
                   %v: memref<1x3x?x64xf32, strided<[?, ?, ?, 1], offset: ?>>, %p: index, %y: memref<1x?x9x64xf32>) {
  nibble.attention %q, %k, %v past(%p) outs(%y) {causal, query_by_token, result_by_token}
    : (memref<1x?x9x64xf32>, memref<1x3x?x64xf32, strided<[?, ?, ?, 1], offset: ?>>,
       memref<1x3x?x64xf32, strided<[?, ?, ?, 1], offset: ?>>, index, memref<1x?x9x64xf32>) -> ()
  return
}

// CHECK: func.func private @nibble_attention_f32_d64_f32_d64_group3_reach(
// CHECK-SAME: %[[Q:[^:]*]]: memref<?xf32, strided<[1], offset: ?>>, %[[K:[^:]*]]: memref<?xf32, strided<[1], offset: ?>>
// Few rows: parts of the results of each task, then their sum.
// CHECK: memref.alloc(
// CHECK: scf.parallel
// CHECK: vector.load %[[K]]{{.*}} vector<16xf32>
// CHECK: vector.reduction <maxnumf>
// CHECK: scf.parallel
// CHECK: memref.dealloc
// CHECK-NOT: memref.alloc(
// Many rows: elements of keys, broadcast, times transposed queries; then
// elements of values times weights.
// CHECK: scf.parallel
// CHECK: memref.alloca() {{.*}} : memref<3072xf32>
// CHECK: %[[E:.*]] = memref.load %[[K]][
// CHECK: %[[B:.*]] = vector.broadcast %[[E]] : f32 to vector<16xf32>
// CHECK: math.fma %[[B]],
// CHECK-NOT: memref.alloc(
// CHECK: return
