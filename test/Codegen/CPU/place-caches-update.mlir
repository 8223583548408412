// RUN: nibble-opt %s --nibble-bufferize --split-input-file -verify-diagnostics | FileCheck %s

// Each batch is written where it starts, in one piece.
// CHECK-LABEL: func.func @linear(
// CHECK-NOT: alloc
// CHECK: %[[ROOM:.*]] = nibble.extend_cache %c16
// CHECK: scf.for %[[N:.*]] =
// CHECK: %[[AT:.*]] = memref.load %arg2[%[[N]]]
// CHECK: %[[START:.*]] = arith.index_cast %[[AT]]
// CHECK: %[[FROM:.*]] = memref.subview %arg1[%[[N]], 0, 0, 0] [1, 2, %{{.*}}, 8]
// CHECK: %[[TO:.*]] = memref.subview %[[ROOM]][%[[N]], 0, %[[START]], 0] [1, 2, %{{.*}}, 8]
// CHECK: memref.copy %[[FROM]], %[[TO]]
// CHECK-NOT: memref.copy
// CHECK: return
func.func @linear(%past: tensor<?x2x16x8xf32> {nibble.cache = 0 : i64}, %k: tensor<?x2x?x8xf32>, %at: tensor<?xi64>)
    -> (tensor<?x2x16x8xf32> {nibble.cache = 0 : i64}) {
  %0 = nibble.update_cache %past, %k at %at {axis = 2 : i64, cache = 0 : i64} : (tensor<?x2x16x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x16x8xf32>
  return %0 : tensor<?x2x16x8xf32>
}

// Around the end, position by position. The past of the caller is copied.
// CHECK-LABEL: func.func @circular(
// CHECK: %[[ALLOC:.*]] = memref.alloc
// CHECK: memref.copy %arg0, %[[ALLOC]]
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.remui %{{.*}}, %c16
// CHECK: return %[[ALLOC]]
func.func @circular(%past: tensor<?x2x16x8xf32>, %k: tensor<?x2x?x8xf32>, %at: tensor<?xi64>) -> tensor<?x2x16x8xf32> {
  %0 = nibble.update_cache %past, %k at %at {axis = 2 : i64, circular} : (tensor<?x2x16x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x16x8xf32>
  return %0 : tensor<?x2x16x8xf32>
}

// -----

func.func @unmarked(%past: tensor<1x2x?x8xf32>, %k: tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32> {
  // expected-error @+1 {{expected an argument as past and a result of the function that 'nibble.cache' says are cache 0}}
  %0 = nibble.append_cache %past, %k {axis = 2 : i64, cache = 0 : i64} : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32>
  return %0 : tensor<1x2x?x8xf32>
}
