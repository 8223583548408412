// RUN: nibble-opt %s -onnx-infer-shapes -split-input-file -verify-diagnostics

// Contradictions name the layer and both shapes.

func.func @matmul(%a: tensor<?x64xf32>, %b: tensor<32x8xf32>) -> tensor<*xf32> {
  // expected-error@+1 {{(layer 'fc') cannot multiply shapes [?, 64] and [32, 8]: 64 against 32}}
  %0 = onnx.MatMul(%a, %b) {onnx.name = "fc"} : (tensor<?x64xf32>, tensor<32x8xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @broadcast(%a: tensor<2x3xf32>, %b: tensor<4xf32>) -> tensor<*xf32> {
  // expected-error@+1 {{(layer 'add') shapes [2, 3] and [4] do not broadcast}}
  %0 = onnx.Add(%a, %b) {onnx.name = "add"} : (tensor<2x3xf32>, tensor<4xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @declared(%a: tensor<2x3xf32>) -> tensor<2x4xf32> {
  // expected-error@+1 {{result #0 has shape [2, 3], but the model declares [2, 4]}}
  %0 = onnx.Relu(%a) : (tensor<2x3xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @channels(%x: tensor<1x4x8x8xf32>, %w: tensor<8x3x3x3xf32>) -> tensor<*xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{X has shape [1, 4, 8, 8], but W of shape [8, 3, 3, 3] with group 1 needs 3 channels}}
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x4x8x8xf32>, tensor<8x3x3x3xf32>, none) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @reshape(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  %s = onnx.Constant {value = dense<[4, -1]> : tensor<2xi64>} : tensor<2xi64>
  // expected-error@+1 {{cannot reshape data of shape [2, 3] (6 elements) with -1 beside 4 elements}}
  %0 = onnx.Reshape(%x, %s) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @tile(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  %r = onnx.Constant {value = dense<[1, -1]> : tensor<2xi64>} : tensor<2xi64>
  // expected-error@+1 {{result #0 has shape [2, -3], expected no negative size}}
  %0 = onnx.Tile(%x, %r) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @big(%x: tensor<1x1x8xf32>, %w: tensor<1x1x3xf32>) -> tensor<*xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{dilations has the element 4611686018427387904, expected at most 2147483647}}
  %0 = onnx.Conv(%x, %w, %none) {dilations = array<i64: 4611686018427387904>} : (tensor<1x1x8xf32>, tensor<1x1x3xf32>, none) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @rank(%x: tensor<?xf32>, %s: tensor<?xi64>) -> tensor<*xf32> {
  // expected-error@+2 {{(layer 'view') the rank of result #0 cannot be inferred}}
  // expected-note@+1 {{operand types are 'tensor<?xf32>', 'tensor<?xi64>'}}
  %0 = onnx.Reshape(%x, %s) {onnx.name = "view"} : (tensor<?xf32>, tensor<?xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

// expected-error@+1 {{input 'data' has type 'tensor<*xf32>', expected one with an element type and a rank}}
func.func @input(%x: tensor<*xf32> {onnx.name = "data"}) -> tensor<*xf32> {
  return %x : tensor<*xf32>
}
