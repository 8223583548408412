// A cache that has grown, if it had to, and is then written, is one buffer.
// RUN: nibble-opt %s -split-input-file -nibble-share-caches | FileCheck %s
// RUN: nibble-opt %s -split-input-file -nibble-share-caches -nibble-place-caches | FileCheck %s --check-prefix=PLACED

// CHECK-LABEL: func.func @both
// CHECK-SAME: %arg0: tensor<1x2x?x8xf32> {nibble.cache = 0 : i64}
// CHECK-SAME: -> (tensor<1x2x?x8xf32> {nibble.cache = 0 : i64}, f32)
// CHECK: nibble.append_cache {{.*}}cache = 0 : i64
// CHECK: nibble.update_cache
// CHECK-NOT: cache = 1

// What the buffer gets at last is what was updated.
// PLACED-LABEL: func.func @both
// PLACED: %[[ROOM:.*]] = nibble.extend_cache
// PLACED: %[[GROWN:.*]] = tensor.insert_slice %arg1 into
// PLACED: %[[LAST:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[GROWN]])
// PLACED: tensor.extract %[[LAST]]
// PLACED: bufferization.materialize_in_destination %[[LAST]] in restrict writable %[[ROOM]]
func.func @both(%past: tensor<1x2x?x8xf32>, %zeros: tensor<1x2x?x8xf32>, %k: tensor<1x2x?x8xf32>, %at: tensor<1xi64>) -> (tensor<1x2x?x8xf32>, f32) {
  %c0 = arith.constant 0 : index
  %0 = nibble.append_cache %past, %zeros {axis = 2 : i64} : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32>
  %1 = nibble.update_cache %0, %k at %at {axis = 2 : i64} : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>, tensor<1xi64>) -> tensor<1x2x?x8xf32>
  %2 = tensor.extract %1[%c0, %c0, %c0, %c0] : tensor<1x2x?x8xf32>
  return %1, %2 : tensor<1x2x?x8xf32>, f32
}

// -----

// Something else reads what it was between: the past is copied.
// CHECK-LABEL: func.func @read
// CHECK-NOT: cache = 0
func.func @read(%past: tensor<1x2x?x8xf32>, %zeros: tensor<1x2x?x8xf32>, %k: tensor<1x2x?x8xf32>, %at: tensor<1xi64>) -> (tensor<1x2x?x8xf32>, f32) {
  %c0 = arith.constant 0 : index
  %0 = nibble.append_cache %past, %zeros {axis = 2 : i64} : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>) -> tensor<1x2x?x8xf32>
  %1 = nibble.update_cache %0, %k at %at {axis = 2 : i64} : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>, tensor<1xi64>) -> tensor<1x2x?x8xf32>
  %2 = tensor.extract %0[%c0, %c0, %c0, %c0] : tensor<1x2x?x8xf32>
  return %1, %2 : tensor<1x2x?x8xf32>, f32
}
