// RUN: nibble-opt %s --nibble-lower-caches | FileCheck %s

// CHECK: llvm.func @nibble_rt_extend_cache(i32, i64, !llvm.ptr)

// The runtime writes a descriptor to the frame.
// CHECK-LABEL: func.func @f
// CHECK: %[[SLOT:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(ptr, ptr, i64, array<4 x i64>, array<4 x i64>)>
// CHECK: %[[CACHE:.*]] = llvm.mlir.constant(3 : i32)
// CHECK: %[[N:.*]] = arith.index_cast %arg0 : index to i64
// CHECK: llvm.call @nibble_rt_extend_cache(%[[CACHE]], %[[N]], %[[SLOT]])
// CHECK: llvm.load %[[SLOT]]
// CHECK: builtin.unrealized_conversion_cast {{.*}} to memref<?x2x?x8xf32, strided<[?, ?, 8, 1]>>
func.func @f(%n: index) -> memref<?x2x?x8xf32, strided<[?, ?, 8, 1]>> {
  %0 = nibble.extend_cache %n {axis = 2 : i64, cache = 3 : i64} : memref<?x2x?x8xf32, strided<[?, ?, 8, 1]>>
  return %0 : memref<?x2x?x8xf32, strided<[?, ?, 8, 1]>>
}
