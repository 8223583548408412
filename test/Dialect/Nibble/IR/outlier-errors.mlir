// RUN: nibble-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected a threshold of 0 (none) or more, got -1.0}}
  %q:4 = nibble.quantize_outliers %x {threshold = -1.0 : f32} : (tensor<4x8xf32>) -> (tensor<4x8xi8>, tensor<4xf32>, tensor<8xi32>, tensor<1xi32>)
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected columns of shape [8], got [4]}}
  %q:4 = nibble.quantize_outliers %x {threshold = 6.0 : f32} : (tensor<4x8xf32>) -> (tensor<4x8xi8>, tensor<4xf32>, tensor<4xi32>, tensor<1xi32>)
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{expected codes, scales, columns and count as results and no outs with a tensor}}
  %q:2 = nibble.quantize_outliers %x {threshold = 6.0 : f32} : (tensor<4x8xf32>) -> (tensor<4x8xi8>, tensor<4xf32>)
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>, %i: tensor<8xi32>, %c: tensor<1xi32>, %w: tensor<8x5xi8>, %s: tensor<5xf32>) {
  // expected-error @+1 {{expected a weight of shape [5, 8], got [8, 5]}}
  %y = nibble.matmul_outliers %x, %i, %c weight(%w scales %s) {n = 5 : i64, k = 8 : i64, transpose_weight}
    : (tensor<4x8xf32>, tensor<8xi32>, tensor<1xi32>, tensor<8x5xi8>, tensor<5xf32>) -> tensor<4x5xf32>
  return
}

// -----

func.func @f(%x: tensor<4x8xf32>, %i: tensor<8xi64>, %c: tensor<1xi32>, %w: tensor<8x5xi8>, %s: tensor<5xf32>) {
  // expected-error @+1 {{expected columns of element type 'i32', got 'i64'}}
  %y = nibble.matmul_outliers %x, %i, %c weight(%w scales %s) {n = 5 : i64, k = 8 : i64}
    : (tensor<4x8xf32>, tensor<8xi64>, tensor<1xi32>, tensor<8x5xi8>, tensor<5xf32>) -> tensor<4x5xf32>
  return
}
