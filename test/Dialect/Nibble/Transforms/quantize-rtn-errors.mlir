// RUN: nibble-opt %s -split-input-file --nibble-quantize-rtn -verify-diagnostics

#request = {method = "rtn", scheme = #nibble.scheme<int4, group = -1, scale = f32, packing = rows>}

func.func @f(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = nibble.constant dense<[[1.0, 0x7FC00000], [1.0, 2.0]]> : tensor<2x2xf32>
  // expected-error @below {{layer "fc": }}
  %y = nibble.matmul %x weight(%w) {n = 2 : i64, k = 2 : i64, layers = ["fc"], nibble.request = #request}
    : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

#request = {method = "rtn", scheme = #nibble.scheme<int4, group = -1, scale = f32, packing = rows>}

func.func @f(%x: tensor<?x2xf32>, %w: tensor<2x2xf32>) -> tensor<?x2xf32> {
  // expected-error @below {{layer "fc": the weight is not a constant that can be read}}
  %y = nibble.matmul %x weight(%w) {n = 2 : i64, k = 2 : i64, layers = ["fc"], nibble.request = #request}
    : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

func.func @f(%x: tensor<?x2xf32>, %w: tensor<2x2xf32>) -> tensor<?x2xf32> {
  // expected-error @below {{expected nibble.request to be a dictionary with a method and a scheme, got "W4A16"}}
  %y = nibble.matmul %x weight(%w) {n = 2 : i64, k = 2 : i64, nibble.request = "W4A16"}
    : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
