// RUN: nibble-opt %s -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @tensors(
func.func @tensors(%x: tensor<2x?x8xf32>) -> (tensor<2x?x8xi8>, tensor<2x?xf32>) {
  // CHECK: nibble.quantize_dynamic %{{.+}} {row_rank = 2 : i64} : (tensor<2x?x8xf32>) -> (tensor<2x?x8xi8>, tensor<2x?xf32>)
  %q:2 = nibble.quantize_dynamic %x {row_rank = 2 : i64} : (tensor<2x?x8xf32>) -> (tensor<2x?x8xi8>, tensor<2x?xf32>)
  return %q#0, %q#1 : tensor<2x?x8xi8>, tensor<2x?xf32>
}

// CHECK-LABEL: func.func @memrefs(
func.func @memrefs(%x: memref<4x8xf32>, %c: memref<4x8xi8>, %s: memref<4xf32>) {
  // CHECK: nibble.quantize_dynamic %{{.+}} outs(%{{.+}}, %{{.+}}) {row_rank = 1 : i64, unsigned_codes}
  nibble.quantize_dynamic %x outs(%c, %s) {row_rank = 1 : i64, unsigned_codes} : (memref<4x8xf32>, memref<4x8xi8>, memref<4xf32>) -> ()
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected a row_rank in [0, 2], got 3}}
  %q:2 = nibble.quantize_dynamic %x {row_rank = 3 : i64} : (tensor<4x8xf32>) -> (tensor<4x8xi8>, tensor<4xf32>)
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected scales of shape [4], got [8]}}
  %q:2 = nibble.quantize_dynamic %x {row_rank = 1 : i64} : (tensor<4x8xf32>) -> (tensor<4x8xi8>, tensor<8xf32>)
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected codes and scales as results and no outs with a tensor}}
  %q = nibble.quantize_dynamic %x {row_rank = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xi8>
  return
}

// -----

func.func @f(%x: tensor<4x8xf16>) {
  // expected-error @+1 {{expected an input of element type 'f32', got 'f16'}}
  %q:2 = nibble.quantize_dynamic %x {row_rank = 1 : i64} : (tensor<4x8xf16>) -> (tensor<4x8xi8>, tensor<4xf32>)
  return
}
