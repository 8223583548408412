// RUN: nibble-opt %s --nibble-lower-observe | FileCheck %s

// CHECK: llvm.func @nibble_rt_observe(i64, i32, i32, !llvm.ptr)

// The descriptor, with its strides, goes to a slot of the frame.
// CHECK-LABEL: func.func @strided
// CHECK: %[[SLOT:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)>
// CHECK: %[[VALUE:.*]] = builtin.unrealized_conversion_cast %arg0
// CHECK: llvm.store %[[VALUE]], %[[SLOT]]
// CHECK: %[[ID:.*]] = llvm.mlir.constant(3 : i64)
// CHECK: %[[FLOAT:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: %[[RANK:.*]] = llvm.mlir.constant(2 : i32)
// CHECK: llvm.call @nibble_rt_observe(%[[ID]], %[[FLOAT]], %[[RANK]], %[[SLOT]])
func.func @strided(%x: memref<?x8xf32, strided<[?, 1], offset: ?>>) {
  nibble.observe %x {id = 3 : i64} : memref<?x8xf32, strided<[?, 1], offset: ?>>
  return
}

// A slot in a loop would grow the frame: it is made before it.
// CHECK-LABEL: func.func @loop
// CHECK: llvm.alloca
// CHECK: scf.for
// CHECK-NOT: llvm.alloca
// CHECK: llvm.mlir.constant(10 : i32)
// CHECK: llvm.call @nibble_rt_observe
func.func @loop(%x: memref<f16>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    nibble.observe %x {id = 0 : i64} : memref<f16>
  }
  return
}
