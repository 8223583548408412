// RUN: nibble-opt %s -resolve-ranked-shaped-type-result-dims -canonicalize -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @append(
// CHECK-SAME: %[[PAST:.*]]: tensor<?x2x?x8xf32>, %[[K:.*]]: tensor<?x2x?x8xf32>
func.func @append(%past: tensor<?x2x?x8xf32>, %k: tensor<?x2x?x8xf32>) -> (tensor<?x2x?x8xf32>, index) {
  // The result's size is known without it.
  // CHECK-DAG: %[[P:.*]] = tensor.dim %[[PAST]]
  // CHECK-DAG: %[[S:.*]] = tensor.dim %[[K]]
  // CHECK: affine.apply #{{.*}}()[%[[P]], %[[S]]]
  %c2 = arith.constant 2 : index
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  %n = tensor.dim %0, %c2 : tensor<?x2x?x8xf32>
  return %0, %n : tensor<?x2x?x8xf32>, index
}

// CHECK-LABEL: func.func @append_to_nothing(
func.func @append_to_nothing(%past: tensor<1x2x0x8xf32>, %k: tensor<1x2x4x8xf32>) -> (tensor<1x2x4x8xf32>, tensor<1x2x0x8xf32>) {
  // CHECK: return %arg1, %arg0
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (tensor<1x2x0x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x4x8xf32>
  %1 = nibble.append_cache %past, %past {axis = 2 : i64} : (tensor<1x2x0x8xf32>, tensor<1x2x0x8xf32>) -> tensor<1x2x0x8xf32>
  return %0, %1 : tensor<1x2x4x8xf32>, tensor<1x2x0x8xf32>
}

// A pair of the model stays one, whatever the sizes are.
// CHECK-LABEL: func.func @shared(
func.func @shared(%past: tensor<1x2x0x8xf32>, %k: tensor<1x2x4x8xf32>) -> tensor<1x2x4x8xf32> {
  // CHECK: nibble.append_cache
  %0 = nibble.append_cache %past, %k {axis = 2 : i64, cache = 0 : i64} : (tensor<1x2x0x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x4x8xf32>
  return %0 : tensor<1x2x4x8xf32>
}

// -----

func.func @f(%past: tensor<1x2x5x8xf32>, %k: tensor<1x2x1x8xf32>) {
  // expected-error @+1 {{expected a result of 6 positions, got 5}}
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (tensor<1x2x5x8xf32>, tensor<1x2x1x8xf32>) -> tensor<1x2x5x8xf32>
  return
}

// -----

func.func @f(%past: tensor<1x2x5x8xf32>, %k: tensor<1x3x1x8xf32>) {
  // expected-error @+1 {{expected fresh positions of shape [1, 2, ?, 8], got [1, 3, 1, 8]}}
  %0 = nibble.append_cache %past, %k {axis = 2 : i64} : (tensor<1x2x5x8xf32>, tensor<1x3x1x8xf32>) -> tensor<1x2x6x8xf32>
  return
}

// -----

func.func @f(%past: tensor<1x2x5x8xf32>, %k: tensor<1x2x1x8xf32>) {
  // expected-error @+1 {{expected an axis in [0, 4), got 4}}
  %0 = nibble.append_cache %past, %k {axis = 4 : i64} : (tensor<1x2x5x8xf32>, tensor<1x2x1x8xf32>) -> tensor<1x2x6x8xf32>
  return
}
