// RUN: nibble-opt %s -split-input-file -verify-diagnostics

func.func @bits(%a: tensor<2x64xf32>, %b: tensor<32x2x16xui8>, %s: tensor<64xf32>) -> tensor<2x32xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{bits is 3, expected 2, 4 or 8}}
  %y = onnx.microsoft.MatMulNBits(%a, %b, %s, %none, %none, %none) {K = 64 : i64, N = 32 : i64, block_size = 32 : i64, bits = 3 : i64} : (tensor<2x64xf32>, tensor<32x2x16xui8>, tensor<64xf32>, none, none, none) -> tensor<2x32xf32>
  return %y : tensor<2x32xf32>
}

// -----

func.func @block(%a: tensor<2x64xf32>, %b: tensor<32x2x16xui8>, %s: tensor<64xf32>) -> tensor<2x32xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{block_size is 24, expected a power of two of at least 16}}
  %y = onnx.microsoft.MatMulNBits(%a, %b, %s, %none, %none, %none) {K = 64 : i64, N = 32 : i64, block_size = 24 : i64} : (tensor<2x64xf32>, tensor<32x2x16xui8>, tensor<64xf32>, none, none, none) -> tensor<2x32xf32>
  return %y : tensor<2x32xf32>
}

// -----

func.func @zeros(%a: tensor<2x64xf32>, %b: tensor<32x2x16xui8>, %s: tensor<64xf32>, %z: tensor<32x2xui8>) -> tensor<2x32xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{zero_points has 64 elements, expected 32 for N = 32, K = 64, block_size = 32 and 4 bits}}
  %y = onnx.microsoft.MatMulNBits(%a, %b, %s, %z, %none, %none) {K = 64 : i64, N = 32 : i64, block_size = 32 : i64} : (tensor<2x64xf32>, tensor<32x2x16xui8>, tensor<64xf32>, tensor<32x2xui8>, none, none) -> tensor<2x32xf32>
  return %y : tensor<2x32xf32>
}

// -----

func.func @prepacked(%a: tensor<2x64xf32>, %b: tensor<32x2x16xui8>, %s: tensor<64xf32>) -> tensor<2x32xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{weight_prepacked is 1, expected 0}}
  %y = onnx.microsoft.MatMulNBits(%a, %b, %s, %none, %none, %none) {K = 64 : i64, N = 32 : i64, block_size = 32 : i64, weight_prepacked = 1 : i64} : (tensor<2x64xf32>, tensor<32x2x16xui8>, tensor<64xf32>, none, none, none) -> tensor<2x32xf32>
  return %y : tensor<2x32xf32>
}

// -----

func.func @concat(%s: tensor<f32>, %z: tensor<ui8>, %x: tensor<2xui8>) -> tensor<2xui8> {
  // expected-error@+1 {{has 2 values after the zero point of Y, expected triples}}
  %y = onnx.microsoft.QLinearConcat(%s, %z, %x, %s) {axis = 0 : i64} : (tensor<f32>, tensor<ui8>, tensor<2xui8>, tensor<f32>) -> tensor<2xui8>
  return %y : tensor<2xui8>
}

// -----

func.func @bnb4_type(%a: tensor<2x64xf32>, %b: tensor<1024xui8>, %s: tensor<64xf32>) -> tensor<2x32xf32> {
  // expected-error@+1 {{quant_type is 2, expected 0 (FP4) or 1 (NF4)}}
  %y = onnx.microsoft.MatMulBnb4(%a, %b, %s) {K = 64 : i64, N = 32 : i64, block_size = 32 : i64, quant_type = 2 : i64} : (tensor<2x64xf32>, tensor<1024xui8>, tensor<64xf32>) -> tensor<2x32xf32>
  return %y : tensor<2x32xf32>
}

// -----

func.func @bnb4_blocks(%a: tensor<2x5xf32>, %b: tensor<8xui8>, %s: tensor<2xf32>) -> tensor<2x3xf32> {
  // expected-error@+1 {{absmax has 2 elements, expected 1 for N = 3, K = 5 and block_size = 16}}
  %y = onnx.microsoft.MatMulBnb4(%a, %b, %s) {K = 5 : i64, N = 3 : i64, block_size = 16 : i64, quant_type = 1 : i64} : (tensor<2x5xf32>, tensor<8xui8>, tensor<2xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
