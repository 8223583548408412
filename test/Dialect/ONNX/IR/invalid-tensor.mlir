// RUN: nibble-opt %s -verify-diagnostics -split-input-file

// Shapes and attributes of data movement.

func.func @constant() {
  // expected-error@+1 {{has 2 value attributes, expected exactly one}}
  %0 = onnx.Constant {value_int = 1 : i64, value_float = 1.0 : f32} : tensor<i64>
  return
}

// -----

func.func @constant_type() {
  // expected-error@+1 {{value has type 'tensor<2xi64>', but the result has 'tensor<3xi64>'}}
  %0 = onnx.Constant {value = dense<1> : tensor<2xi64>} : tensor<3xi64>
  return
}

// -----

func.func @reshape(%x: tensor<2x3xf32>, %s: tensor<1xi64>) {
  // expected-error@+1 {{data has type 'tensor<2x3xf32>' and the result 'tensor<5xf32>': 6 elements against 5}}
  %0 = onnx.Reshape(%x, %s) : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<5xf32>
  return
}

// -----

func.func @transpose(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{perm is [0, 0], expected each of 0 to 1 once}}
  %0 = onnx.Transpose(%x) {perm = array<i64: 0, 0>} : (tensor<2x3xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @cast(%x: tensor<2xf32>) {
  // expected-error@+1 {{to is 7 ('i64'), but the result has element type 'i32'}}
  %0 = onnx.Cast(%x) {to = 7 : i64} : (tensor<2xf32>) -> tensor<2xi32>
  return
}

// -----

func.func @gather(%x: tensor<2x3xf32>, %i: tensor<1xi64>) {
  // expected-error@+1 {{axis is 2, expected -2 to 1 for rank 2}}
  %0 = onnx.Gather(%x, %i) {axis = 2 : i64} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @split(%x: tensor<4xf32>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{num_outputs is 3, but there are 2 results}}
  %0:2 = onnx.Split(%x, %none) {num_outputs = 3 : i64} : (tensor<4xf32>, none) -> (tensor<2xf32>, tensor<2xf32>)
  return
}
