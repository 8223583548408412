// RUN: nibble-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<?x4xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{expected a weight of shape [4, 3], got [3, 4]}}
  %y = nibble.matmul %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x5xf32>, %w: tensor<4x3xf32>) {
  // expected-error @+1 {{expected an input whose last dimension is k = 4, got shape [?, 5]}}
  %y = nibble.matmul %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<?x5xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %w: tensor<4x3xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expected bias of shape [3], got [4]}}
  %y = nibble.matmul %x weight(%w) bias(%b) {n = 3 : i64, k = 4 : i64} : (tensor<?x4xf32>, tensor<4x3xf32>, tensor<4xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4x3xf32>) {
  // expected-error @+1 {{expected a result of shape [2, 3], got [2, 4]}}
  %y = nibble.matmul %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  return
}

// -----

#w4 = #nibble.scheme<int4, group = 32, scale = f16, packing = rows>
func.func @f(%x: tensor<?x64xf32>, %c: tensor<10x64xi8>, %s: tensor<10x2xf16>) {
  // expected-error @+1 {{expected codes of shape [10, 32], got [10, 64]}}
  %y = nibble.matmul %x weight(%c, %s) {n = 10 : i64, k = 64 : i64, scheme = #w4} : (tensor<?x64xf32>, tensor<10x64xi8>, tensor<10x2xf16>) -> tensor<?x10xf32>
  return
}

// -----

#w4 = #nibble.scheme<int4, group = 48, scale = f16, packing = rows>
func.func @f(%x: tensor<?x64xf32>, %c: tensor<10x32xi8>, %s: tensor<10x1xf16>) {
  // expected-error @+1 {{expected scales of shape [10, 2], got [10, 1]}}
  %y = nibble.matmul %x weight(%c, %s) {n = 10 : i64, k = 64 : i64, scheme = #w4} : (tensor<?x64xf32>, tensor<10x32xi8>, tensor<10x1xf16>) -> tensor<?x10xf32>
  return
}

// -----

#w4 = #nibble.scheme<int4, group = 32, scale = f16, zero = integer, packing = rows>
func.func @f(%x: tensor<?x64xf32>, %c: tensor<10x32xi8>, %s: tensor<10x2xf16>) {
  // expected-error @+1 {{expected zeros with #nibble.scheme<int4, group = 32, scale = f16, zero = integer, packing = rows>, got none}}
  %y = nibble.matmul %x weight(%c, %s) {n = 10 : i64, k = 64 : i64, scheme = #w4} : (tensor<?x64xf32>, tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<?x10xf32>
  return
}

// -----

#w4 = #nibble.scheme<int4, group = 32, scale = bf16, packing = rows>
func.func @f(%x: tensor<?x64xf32>, %c: tensor<10x32xi8>, %s: tensor<10x2xf16>) {
  // expected-error @+1 {{expected scales of element type 'bf16', got 'f16'}}
  %y = nibble.matmul %x weight(%c, %s) {n = 10 : i64, k = 64 : i64, scheme = #w4} : (tensor<?x64xf32>, tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<?x10xf32>
  return
}
