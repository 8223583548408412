// RUN: nibble-opt %s -split-input-file -verify-diagnostics --canonicalize --cse | FileCheck %s
// RUN: nibble-opt %s -split-input-file -verify-diagnostics --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" | FileCheck %s --check-prefix=BUFFER

// What observes has an effect: it stays, and two that look alike are two.

// CHECK-LABEL: func.func @seen(
// BUFFER-LABEL: func.func @seen(
// BUFFER-SAME: %[[X:.+]]: memref<?x8xf32>, %[[I:.+]]: memref<3xi64>)
func.func @seen(%x: tensor<?x8xf32>, %i: tensor<3xi64>) {
  // CHECK: nibble.observe %{{.+}} {id = 3 : i64, onnx.name = "fc1"} : tensor<?x8xf32>
  // CHECK-NEXT: nibble.observe %{{.+}} {id = 3 : i64, onnx.name = "fc1"} : tensor<?x8xf32>
  // CHECK-NEXT: nibble.observe %{{.+}} {id = 0 : i64} : tensor<3xi64>
  // BUFFER: nibble.observe %[[X]] {id = 3 : i64, onnx.name = "fc1"} : memref<?x8xf32>
  // BUFFER: nibble.observe %[[I]] {id = 0 : i64} : memref<3xi64>
  nibble.observe %x {id = 3 : i64, onnx.name = "fc1"} : tensor<?x8xf32>
  nibble.observe %x {id = 3 : i64, onnx.name = "fc1"} : tensor<?x8xf32>
  nibble.observe %i {id = 0 : i64} : tensor<3xi64>
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expected an id of at least 0, got -1}}
  nibble.observe %x {id = -1 : i64} : tensor<4xf32>
  return
}
