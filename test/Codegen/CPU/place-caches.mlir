// RUN: nibble-opt %s --nibble-bufferize | FileCheck %s

// No buffer but the cache itself, and of it the new positions alone are
// written: the past is only asked for its size.
// CHECK-LABEL: func.func @shared(
// CHECK-SAME: %[[PAST:[^:]*]]: memref<?x2x?x8xf32>
// CHECK-SAME: nibble.kept_cache = {attrs = {onnx.name = "present"}, axis = 2 : i64, cache = 0 : i64, grows = true, output = 1 : i64, type = tensor<?x2x?x8xf32>}
// CHECK-SAME: %[[K:[^:]*]]: memref<?x2x?x8xf32>) -> f32
// CHECK-NOT: alloc
// CHECK: %[[P:.*]] = memref.dim %[[PAST]], %c2
// CHECK: %[[S:.*]] = memref.dim %[[K]], %c2
// CHECK: %[[T:.*]] = arith.addi %[[P]], %[[S]]
// CHECK: %[[ROOM:.*]] = nibble.extend_cache %[[T]] {axis = 2 : i64, cache = 0 : i64} : memref<?x2x?x8xf32, strided<[?, ?, 8, 1]>>
// CHECK: %[[NEW:.*]] = memref.subview %[[ROOM]][0, 0, %[[P]], 0] [%{{.*}}, 2, %[[S]], 8]
// CHECK-NEXT: memref.copy %[[K]], %[[NEW]]
// CHECK-NEXT: %[[X:.*]] = memref.load %[[ROOM]]
// CHECK-NEXT: return %[[X]]
func.func @shared(%past: tensor<?x2x?x8xf32> {nibble.cache = 0 : i64}, %k: tensor<?x2x?x8xf32>)
    -> (f32, tensor<?x2x?x8xf32> {nibble.cache = 0 : i64, onnx.name = "present"}) {
  %c0 = arith.constant 0 : index
  %0 = nibble.append_cache %past, %k {axis = 2 : i64, cache = 0 : i64} : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  %x = tensor.extract %0[%c0, %c0, %c0, %c0] : tensor<?x2x?x8xf32>
  return %x, %0 : f32, tensor<?x2x?x8xf32>
}

// What is computed from a present may not be computed in it.
// CHECK-LABEL: func.func @not_in_place(
// CHECK: %[[ROOM:.*]] = nibble.extend_cache
// CHECK: %[[ALLOC:.*]] = memref.alloc
// CHECK: linalg.exp ins(%[[ROOM]] : {{.*}}) outs(%[[ALLOC]] :
// CHECK: return %[[ALLOC]]
func.func @not_in_place(%past: tensor<1x2x?x8xf32> {nibble.cache = 0 : i64}, %k: tensor<1x2x?x8xf32>)
    -> (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32> {nibble.cache = 0 : i64}) {
  %0 = nibble.append_cache %past, %k {axis = 2 : i64, cache = 0 : i64} : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32>
  %1 = linalg.exp ins(%0 : tensor<1x2x?x8xf32>) outs(%0 : tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32>
  return %1, %0 : tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>
}

// Without a number both parts are copied.
// CHECK-LABEL: func.func @copied(
// CHECK-NOT: nibble.
// CHECK: %[[ALLOC:.*]] = memref.alloc
// CHECK: memref.copy %arg0
// CHECK: memref.copy %arg1
// CHECK: return %[[ALLOC]]
func.func @copied(%past: tensor<1x2x?x8xf32>, %k: tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32> {
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32>
  return %0 : tensor<1x2x?x8xf32>
}
