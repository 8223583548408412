// RUN: nibble-opt %s -resolve-ranked-shaped-type-result-dims -canonicalize -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @update(
func.func @update(%past: tensor<?x2x?x8xf32>, %k: tensor<?x2x?x8xf32>, %at: tensor<?xi64>) -> (tensor<?x2x?x8xf32>, index) {
  // CHECK: nibble.update_cache %arg0, %arg1 at %arg2 {axis = 2 : i64, circular}
  // CHECK: %[[N:.*]] = tensor.dim %arg0
  %c2 = arith.constant 2 : index
  %0 = nibble.update_cache %past, %k at %at {axis = 2 : i64, circular} : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi64>) -> tensor<?x2x?x8xf32>
  %n = tensor.dim %0, %c2 : tensor<?x2x?x8xf32>
  // CHECK: return %{{.*}}, %[[N]]
  return %0, %n : tensor<?x2x?x8xf32>, index
}

// -----

func.func @f(%past: tensor<4x2x5x8xf32>, %k: tensor<4x2x1x8xf32>, %at: tensor<3xi64>) {
  // expected-error @+1 {{expected starts of shape [4], got [3]}}
  %0 = nibble.update_cache %past, %k at %at {axis = 2 : i64} : (tensor<4x2x5x8xf32>, tensor<4x2x1x8xf32>, tensor<3xi64>) -> tensor<4x2x5x8xf32>
  return
}

// -----

func.func @f(%past: tensor<4x2x5x8xf32>, %k: tensor<4x2x1x8xf32>) {
  // expected-error @+1 {{expected a result of shape [4, 2, 5, 8], got [4, 2, 6, 8]}}
  %0 = nibble.update_cache %past, %k {axis = 2 : i64} : (tensor<4x2x5x8xf32>, tensor<4x2x1x8xf32>) -> tensor<4x2x6x8xf32>
  return
}

// -----

func.func @f(%past: tensor<4x5xf32>, %k: tensor<1x5xf32>, %at: tensor<4xi64>) {
  // expected-error @+1 {{expected an axis after the batches, got 0}}
  %0 = nibble.update_cache %past, %k at %at {axis = 0 : i64} : (tensor<4x5xf32>, tensor<1x5xf32>, tensor<4xi64>) -> tensor<4x5xf32>
  return
}

// -----

func.func @f(%n: index) {
  // expected-error @+1 {{expected a result of type 'memref<?x2x?x8xf32, strided<[?, ?, 8, 1]>>', got 'memref<?x2x?x8xf32>'}}
  %0 = nibble.extend_cache %n {axis = 2 : i64, cache = 0 : i64} : memref<?x2x?x8xf32>
  return
}

// -----

func.func @f(%n: index) {
  // expected-error @+1 {{expected a cache of at least 0, got -1}}
  %0 = nibble.extend_cache %n {axis = 2 : i64, cache = -1 : i64} : memref<?x2x?x8xf32, strided<[?, ?, 8, 1]>>
  return
}
