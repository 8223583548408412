// RUN: nibble-opt %s --pass-pipeline="builtin.module(func.func(nibble-skip-outliers))" | FileCheck %s

// Without outlier columns the integer product reads no sum of theirs. What was freed
// between the two products is freed after both.

// CHECK-LABEL: func.func @skipped(
func.func @skipped(%x: memref<?x8xf32>, %columns: memref<8xi32>, %count: memref<1xi32>, %w: memref<1x2x32x4xi8>,
                   %s: memref<4xf32>, %codes: memref<?x8xi8>, %sums: memref<4xi32>, %zero: memref<i8>,
                   %scale: memref<?xf32>, %m: index, %y: memref<?x4xf32>) {
  // CHECK: %[[SUM:.+]] = memref.alloc
  // CHECK: %[[R:.+]] = memref.alloc
  // CHECK: %[[N:.+]] = memref.load %arg2[%{{.+}}] : memref<1xi32>
  // CHECK: %[[SOME:.+]] = arith.cmpi sgt, %[[N]]
  // CHECK: scf.if %[[SOME]] {
  // CHECK-NEXT: nibble.matmul_outliers {{.*}} residual(%[[R]]) outs(%[[SUM]])
  // CHECK-NEXT: nibble.matmul_integer {{.*}} residual(%[[SUM]]) outs(%arg10)
  // CHECK-NEXT: } else {
  // CHECK-NEXT: nibble.matmul_integer {{.*}} residual(%[[R]]) outs(%arg10)
  // CHECK: memref.dealloc %[[R]]
  // CHECK-NEXT: memref.dealloc %[[SUM]]
  %sum = memref.alloc(%m) : memref<?x4xf32>
  %r = memref.alloc(%m) : memref<?x4xf32>
  nibble.matmul_outliers %x, %columns, %count weight(%w scales %s) residual(%r) outs(%sum) {n = 4 : i64, k = 8 : i64, packed}
    : (memref<?x8xf32>, memref<8xi32>, memref<1xi32>, memref<1x2x32x4xi8>, memref<4xf32>, memref<?x4xf32>, memref<?x4xf32>) -> ()
  memref.dealloc %r : memref<?x4xf32>
  nibble.matmul_integer %codes weight(%w sums %sums scales %s) input_zero(%zero) input_scale(%scale) residual(%sum) outs(%y)
    {n = 4 : i64, k = 8 : i64, packed, unsigned_input}
    : (memref<?x8xi8>, memref<1x2x32x4xi8>, memref<4xi32>, memref<4xf32>, memref<i8>, memref<?xf32>, memref<?x4xf32>, memref<?x4xf32>) -> ()
  memref.dealloc %sum : memref<?x4xf32>
  return
}

// A sum that something else reads is computed.
// CHECK-LABEL: func.func @needed(
// CHECK-NOT: scf.if
func.func @needed(%x: memref<?x8xf32>, %columns: memref<8xi32>, %count: memref<1xi32>, %w: memref<1x2x32x4xi8>,
                  %s: memref<4xf32>, %sum: memref<?x4xf32>, %copy: memref<?x4xf32>) {
  nibble.matmul_outliers %x, %columns, %count weight(%w scales %s) outs(%sum) {n = 4 : i64, k = 8 : i64, packed}
    : (memref<?x8xf32>, memref<8xi32>, memref<1xi32>, memref<1x2x32x4xi8>, memref<4xf32>, memref<?x4xf32>) -> ()
  memref.copy %sum, %copy : memref<?x4xf32> to memref<?x4xf32>
  return
}
