// RUN: nibble-opt %s -split-input-file -verify-diagnostics

#s = #nibble.scheme<int8, group = 0, scale = f32, packing = plain>
func.func @f(%x: tensor<4xf32>, %s: tensor<2xf32>) {
  // expected-error @+1 {{expected one scale with group = 0, got 'tensor<2xf32>'}}
  %q = nibble.quantize %x, %s {scheme = #s} : (tensor<4xf32>, tensor<2xf32>) -> tensor<4xi8>
  return
}

// -----

#s = #nibble.scheme<int8, group = -1, scale = f32, packing = plain>
func.func @f(%x: tensor<4x8xf32>, %s: tensor<4xf32>) {
  // expected-error @+1 {{expected scales of shape [8], got [4]}}
  %q = nibble.quantize %x, %s {scheme = #s} : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xi8>
  return
}

// -----

#s = #nibble.scheme<int8, group = -1, scale = f32, packing = plain>
func.func @f(%x: tensor<4x8xf32>, %s: tensor<8xf32>) {
  // expected-error @+1 {{expected axis in [-2, 1], got 2}}
  %q = nibble.quantize %x, %s {scheme = #s, axis = 2 : i64} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xi8>
  return
}

// -----

#s = #nibble.scheme<int8, group = 0, scale = f32, packing = rows>
func.func @f(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error @+1 {{expected packing plain, got rows}}
  %q = nibble.quantize %x, %s {scheme = #s} : (tensor<4xf32>, tensor<f32>) -> tensor<4xi8>
  return
}

// -----

#s = #nibble.scheme<int8, group = 0, scale = f32, packing = plain>
func.func @f(%q: tensor<4xi4>, %s: tensor<f32>) {
  // expected-error @+1 {{expected codes of element type 'i8', got 'i4'}}
  %x = nibble.dequantize %q, %s {scheme = #s} : (tensor<4xi4>, tensor<f32>) -> tensor<4xf32>
  return
}

// -----

#s = #nibble.scheme<int4, group = 32, scale = f16, packing = rows>
func.func @f(%q: tensor<10x32xi8>, %s: tensor<10x2xf16>) {
  // expected-error @+1 {{expected codes of shape [64, 5], got [10, 32]}}
  %x = nibble.dequantize %q, %s {scheme = #s} : (tensor<10x32xi8>, tensor<10x2xf16>) -> tensor<64x10xf32>
  return
}

// -----

#s = #nibble.scheme<int4, group = 32, scale = f16, packing = panel>
func.func @f(%q: tensor<1x1024xi8>, %s: tensor<1x2x32xf16>) {
  // expected-error @+1 {{expected packing plain or rows, got panel}}
  %x = nibble.dequantize %q, %s {scheme = #s} : (tensor<1x1024xi8>, tensor<1x2x32xf16>) -> tensor<10x64xf32>
  return
}
