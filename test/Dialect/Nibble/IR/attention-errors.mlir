// RUN: nibble-opt %s -split-input-file -verify-diagnostics

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>, %n: tensor<1xi64>, %p: index) {
  // expected-error @+1 {{expected lengths or past, got both}}
  %y = nibble.attention %q, %k, %v lengths(%n) past(%p) : (tensor<1x4x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1xi64>, index) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>, %n: tensor<2xi64>) {
  // expected-error @+1 {{expected lengths of shape [1], got [2]}}
  %y = nibble.attention %q, %k, %v lengths(%n) : (tensor<1x4x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<2xi64>) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{expected a softcap of at least 0, got -1.0}}
  %y = nibble.attention %q, %k, %v {softcap = -1.0 : f64} : (tensor<1x4x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: tensor<1x4x2x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>) {
  // expected-error @+1 {{expected windows of at least -1, got -2}}
  %y = nibble.attention %q, %k, %v {left_window = -2 : i64} : (tensor<1x4x2x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) -> tensor<1x4x2x8xf32>
  return
}

// -----

func.func @f(%q: memref<1x4x2x8xf32>, %k: memref<1x2x5x8xf32, strided<[160, 80, 16, 2]>>, %y: memref<1x4x2x8xf32>) {
  // expected-error @+1 {{expected memrefs whose innermost stride is 1, got 'memref<1x2x5x8xf32, strided<[160, 80, 16, 2]>>'}}
  nibble.attention %q, %k, %k outs(%y) : (memref<1x4x2x8xf32>, memref<1x2x5x8xf32, strided<[160, 80, 16, 2]>>, memref<1x2x5x8xf32, strided<[160, 80, 16, 2]>>, memref<1x4x2x8xf32>) -> ()
  return
}

// -----

func.func @f(%q: memref<1x4x2x8xf32>, %k: memref<1x2x5x8xf32>) {
  // expected-error @+1 {{expected outs and no result with memref operands}}
  nibble.attention %q, %k, %k : (memref<1x4x2x8xf32>, memref<1x2x5x8xf32>, memref<1x2x5x8xf32>) -> ()
  return
}

// -----

func.func @f(%q: memref<1x4x2x8xf32>, %k: memref<1x2x5x8xf32>, %n: memref<1xi64, strided<[2]>>) {
  // expected-error @+1 {{expected memrefs whose innermost stride is 1, got 'memref<1xi64, strided<[2]>>'}}
  nibble.attention %q, %k, %k lengths(%n) outs(%q) : (memref<1x4x2x8xf32>, memref<1x2x5x8xf32>, memref<1x2x5x8xf32>, memref<1xi64, strided<[2]>>, memref<1x4x2x8xf32>) -> ()
  return
}
