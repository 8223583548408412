// RUN: nibble-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: memref<?x4xf32>, %w: memref<4x3xf32>) {
  // expected-error @+1 {{expected outs with memref operands, got none}}
  nibble.matmul %x weight(%w) {n = 3 : i64, k = 4 : i64} : (memref<?x4xf32>, memref<4x3xf32>) -> ()
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %w: memref<4x3xf32>) {
  // expected-error @+1 {{expected operands that are all tensors or all memrefs, got 'tensor<?x4xf32>' and 'memref<4x3xf32>'}}
  %y = nibble.matmul %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<?x4xf32>, memref<4x3xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>, %w: tensor<4x3xi8>) {
  // expected-error @+1 {{expected a weight of floats without a scheme, got 'tensor<4x3xi8>'}}
  %y = nibble.matmul %x weight(%w) {n = 3 : i64, k = 4 : i64} : (tensor<?x4xf32>, tensor<4x3xi8>) -> tensor<?x3xf32>
  return
}

// -----

#plain = #nibble.scheme<int8, group = -1, scale = f32, packing = plain>
func.func @f(%x: tensor<?x4xf32>, %c: tensor<3x4xi8>, %s: tensor<3x1xf32>) {
  // expected-error @+1 {{expected packing rows or panel, got plain}}
  %y = nibble.matmul %x weight(%c, %s) {n = 3 : i64, k = 4 : i64, scheme = #plain} : (tensor<?x4xf32>, tensor<3x4xi8>, tensor<3x1xf32>) -> tensor<?x3xf32>
  return
}

// -----

func.func @f(%i: tensor<2xf32>, %w: tensor<6x8xf32>) {
  // expected-error @+1 {{expected indices of element type i32 or i64, got 'f32'}}
  %y = nibble.gather %i weight(%w) {rows = 6 : i64, width = 8 : i64} : (tensor<2xf32>, tensor<6x8xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @f(%i: tensor<2xi64>, %w: tensor<6x8xf32>) {
  // expected-error @+1 {{expected a result of shape [2, 8], got [2, 6]}}
  %y = nibble.gather %i weight(%w) {rows = 6 : i64, width = 8 : i64} : (tensor<2xi64>, tensor<6x8xf32>) -> tensor<2x6xf32>
  return
}
