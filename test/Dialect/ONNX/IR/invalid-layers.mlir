// RUN: nibble-opt %s -verify-diagnostics -split-input-file

// Attributes of layers, quantization and subgraphs.

func.func @group_norm(%x: tensor<1x6x4xf32>, %s: tensor<6xf32>) {
  // expected-error@+1 {{num_groups is 4, which does not divide the 6 channels of 'tensor<1x6x4xf32>'}}
  %0 = onnx.GroupNormalization(%x, %s, %s) {num_groups = 4 : i64} : (tensor<1x6x4xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<1x6x4xf32>
  return
}

// -----

func.func @attention(%q: tensor<1x7x64xf32>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{Q has type 'tensor<1x7x64xf32>': rank 3 needs q_num_heads and kv_num_heads}}
  %0:4 = onnx.Attention(%q, %q, %q, %none, %none, %none, %none) : (tensor<1x7x64xf32>, tensor<1x7x64xf32>, tensor<1x7x64xf32>, none, none, none, none) -> (tensor<1x7x64xf32>, none, none, none)
  return
}

// -----

func.func @lstm(%x: tensor<5x1x3xf32>, %w: tensor<1x16x3xf32>, %r: tensor<1x16x4xf32>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{direction is 'both', expected one of forward, reverse, bidirectional}}
  %0:3 = onnx.LSTM(%x, %w, %r, %none, %none, %none, %none, %none) {direction = "both"} : (tensor<5x1x3xf32>, tensor<1x16x3xf32>, tensor<1x16x4xf32>, none, none, none, none, none) -> (none, tensor<*xf32>, none)
  return
}

// -----

func.func @dequantize(%x: tensor<4x3xi8>, %s: tensor<5xf32>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{scale has type 'tensor<5xf32>', but axis 0 of 'tensor<4x3xi8>' has size 4}}
  %0 = onnx.DequantizeLinear(%x, %s, %none) {axis = 0 : i64} : (tensor<4x3xi8>, tensor<5xf32>, none) -> tensor<4x3xf32>
  return
}

// -----

func.func @if(%c: tensor<i1>, %a: tensor<2xf32>) {
  // expected-error@+1 {{else_branch gives 2 outputs, expected 1}}
  %0 = onnx.If(%c) then {
    onnx.Yield(%a) : tensor<2xf32>
  } else {
    onnx.Yield(%a, %a) : tensor<2xf32>, tensor<2xf32>
  } : (tensor<i1>) -> tensor<2xf32>
  return
}

// -----

func.func @einsum(%a: tensor<2x3xf32>) {
  // expected-error@+1 {{equation 'ij,jk->ik' has 2 terms, but there are 1 operands}}
  %0 = onnx.Einsum(%a) {equation = "ij,jk->ik"} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}
