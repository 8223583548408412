// RUN: nibble-opt %s --nibble-share-caches --split-input-file | FileCheck %s

// Sizes of the past may be asked for; present and past are one cache each.
// CHECK-LABEL: func.func @main_graph(
// CHECK-SAME: %{{[^:]*}}: tensor<?x2x?x8xf32> {nibble.cache = 0 : i64}
// CHECK-SAME: %{{[^:]*}}: tensor<?x2x16x8xf32> {nibble.cache = 1 : i64}
// CHECK-SAME: -> (index, tensor<?x2x16x8xf32> {nibble.cache = 1 : i64}, tensor<?x2x?x8xf32> {nibble.cache = 0 : i64})
func.func @main_graph(%keys: tensor<?x2x?x8xf32>, %ring: tensor<?x2x16x8xf32>, %k: tensor<?x2x?x8xf32>, %at: tensor<?xi64>)
    -> (index, tensor<?x2x16x8xf32>, tensor<?x2x?x8xf32>) {
  %c2 = arith.constant 2 : index
  %n = tensor.dim %keys, %c2 : tensor<?x2x?x8xf32>
  // CHECK: nibble.append_cache %{{.*}} {axis = 2 : i64, cache = 0 : i64}
  %0 = nibble.append_cache %keys, %k {axis = 2 : i64} : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  // CHECK: nibble.update_cache %{{.*}} {axis = 2 : i64, cache = 1 : i64}
  %1 = nibble.update_cache %ring, %k at %at {axis = 2 : i64} : (tensor<?x2x16x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x16x8xf32>
  return %n, %1, %0 : index, tensor<?x2x16x8xf32>, tensor<?x2x?x8xf32>
}

// -----

// A type with more sizes is the same output.
// CHECK-LABEL: func.func @cast(
// CHECK-SAME: nibble.cache = 0
// CHECK-SAME: -> (tensor<?x?x?x?xf32> {nibble.cache = 0 : i64})
func.func @cast(%past: tensor<?x2x?x8xf32>, %k: tensor<?x2x?x8xf32>) -> tensor<?x?x?x?xf32> {
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  %1 = tensor.cast %0 : tensor<?x2x?x8xf32> to tensor<?x?x?x?xf32>
  return %1 : tensor<?x?x?x?xf32>
}
