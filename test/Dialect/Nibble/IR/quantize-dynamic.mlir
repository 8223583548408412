// RUN: nibble-opt %s -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @tensors(
func.func @tensors(%x: tensor<2x?x8xf32>) -> (tensor<2x?x8xi8>, tensor<2x?xf32>, tensor<2x?xi8>) {
  // CHECK: nibble.quantize_dynamic %{{.+}} {row_rank = 2 : i64} : (tensor<2x?x8xf32>) -> (tensor<2x?x8xi8>, tensor<2x?xf32>, tensor<2x?xi8>)
  %q:3 = nibble.quantize_dynamic %x {row_rank = 2 : i64} : (tensor<2x?x8xf32>) -> (tensor<2x?x8xi8>, tensor<2x?xf32>, tensor<2x?xi8>)
  return %q#0, %q#1, %q#2 : tensor<2x?x8xi8>, tensor<2x?xf32>, tensor<2x?xi8>
}

// CHECK-LABEL: func.func @memrefs(
func.func @memrefs(%x: memref<4x8xf32>, %c: memref<4x8xi8>, %s: memref<4xf32>, %z: memref<4xi8>) {
  // CHECK: nibble.quantize_dynamic %{{.+}} outs(%{{.+}}, %{{.+}}, %{{.+}}) {row_rank = 1 : i64}
  nibble.quantize_dynamic %x outs(%c, %s, %z) {row_rank = 1 : i64} : (memref<4x8xf32>, memref<4x8xi8>, memref<4xf32>, memref<4xi8>) -> ()
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected a row_rank in [0, 2], got 3}}
  %q:3 = nibble.quantize_dynamic %x {row_rank = 3 : i64} : (tensor<4x8xf32>) -> (tensor<4x8xi8>, tensor<4xf32>, tensor<4xi8>)
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected scales of shape [4], got [8]}}
  %q:3 = nibble.quantize_dynamic %x {row_rank = 1 : i64} : (tensor<4x8xf32>) -> (tensor<4x8xi8>, tensor<8xf32>, tensor<4xi8>)
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected codes, scales and zeros as results and no outs with a tensor}}
  %q = nibble.quantize_dynamic %x {row_rank = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xi8>
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected zeros of shape [4], got [1]}}
  %q:3 = nibble.quantize_dynamic %x {row_rank = 1 : i64} : (tensor<4x8xf32>) -> (tensor<4x8xi8>, tensor<4xf32>, tensor<1xi8>)
  return
}

// -----

func.func @f(%x: tensor<4x8xf16>) {
  // expected-error @+1 {{expected an input of element type 'f32', got 'f16'}}
  %q:3 = nibble.quantize_dynamic %x {row_rank = 1 : i64} : (tensor<4x8xf16>) -> (tensor<4x8xi8>, tensor<4xf32>, tensor<4xi8>)
  return
}
