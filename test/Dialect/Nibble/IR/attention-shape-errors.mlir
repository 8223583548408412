// RUN: nibble-opt %s -split-input-file -verify-diagnostics

func.func @f(%q: tensor<1x4x2x8xi32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{expected a query of element type f16, bf16, f32 or f64, got 'i32'}}
  %y = nibble.attention %q, %k, %v  : (tensor<1x4x2x8xi32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<4x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{expected a query of rank 4, got 'tensor<4x2x8xf32>'}}
  %y = nibble.attention %q, %k, %v  : (tensor<4x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x4xf32>, %v: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{expected a key of shape [1, 2, 5, 8], got [1, 2, 5, 4]}}
  %y = nibble.attention %q, %k, %v  : (tensor<1x4x2x8xf32>, tensor<1x2x5x4xf32>, tensor<1x2x5x8xf32>) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x8xf16>, %v: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{expected a key of element type 'f32', got 'f16'}}
  %y = nibble.attention %q, %k, %v  : (tensor<1x4x2x8xf32>, tensor<1x2x5x8xf16>, tensor<1x2x5x8xf32>) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x6x8xf32>) {
  // expected-error @+1 {{expected a value of shape [1, 2, 5, 8], got [1, 2, 6, 8]}}
  %y = nibble.attention %q, %k, %v  : (tensor<1x4x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x6x8xf32>) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{expected a result of shape [1, 4, 2, 8], got [1, 4, 2, 9]}}
  %y = nibble.attention %q, %k, %v  : (tensor<1x4x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) -> tensor<1x4x2x9xf32>
  return
}

// -----

func.func @f(%q: tensor<1x5x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{expected a number of query heads that is a multiple of the key heads, got 5 and 2}}
  %y = nibble.attention %q, %k, %v  : (tensor<1x5x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) -> tensor<1x5x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>, %m: tensor<1x1x3x5xi1>) {
  // expected-error @+1 {{expected a mask that broadcasts to [1, 4, 2, 5], got [1, 1, 3, 5]}}
  %y = nibble.attention %q, %k, %v mask(%m) : (tensor<1x4x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x1x3x5xi1>) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>, %m: tensor<1x1x1x6xf32>) {
  // expected-error @+1 {{expected a mask for at most 5 keys, got 6}}
  %y = nibble.attention %q, %k, %v mask(%m) : (tensor<1x4x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x1x1x6xf32>) -> tensor<1x4x2x8xf32>
  return
}
