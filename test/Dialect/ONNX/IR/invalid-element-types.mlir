// RUN: nibble-opt %s -verify-diagnostics -split-input-file

// Element types agree where the operator's definition says so.

func.func @binary(%a: tensor<4xf32>, %b: tensor<4xf16>) {
  // expected-error@+1 {{operand #1 has element type 'f16', but operand #0 has 'f32'}}
  %0 = onnx.Add(%a, %b) : (tensor<4xf32>, tensor<4xf16>) -> tensor<4xf32>
  return
}

// -----

func.func @result(%a: tensor<4xf32>) {
  // expected-error@+1 {{result #0 has element type 'i32', but operand #0 has 'f32'}}
  %0 = onnx.Relu(%a) : (tensor<4xf32>) -> tensor<4xi32>
  return
}

// -----

func.func @variadic(%a: tensor<4xf32>, %b: tensor<4xi64>) {
  // expected-error@+1 {{operand #2 has element type 'i64', but operand #0 has 'f32'}}
  %0 = onnx.Max(%a, %a, %b) : (tensor<4xf32>, tensor<4xf32>, tensor<4xi64>) -> tensor<4xf32>
  return
}

// -----

func.func @weight(%x: tensor<1x1x4x4xf32>, %w: tensor<1x1x3x3xf64>) {
  %none = onnx.NoValue : none
  // expected-error@+1 {{operand #1 has element type 'f64', but operand #0 has 'f32'}}
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<1x1x3x3xf64>, none) -> tensor<1x1x2x2xf32>
  return
}

// -----

// What is not known yet agrees with everything.
func.func @unknown(%a: tensor<*x!onnx.unknown>, %b: tensor<4xf16>) {
  %0 = onnx.Add(%a, %b) : (tensor<*x!onnx.unknown>, tensor<4xf16>) -> tensor<4xf16>
  return
}

// -----

func.func @kind(%a: tensor<4xi32>) {
  // expected-error@+1 {{operand #0 must be tensor of 16-bit float or bfloat16 type or 32-bit float or 64-bit float or element type that is not inferred yet values, but got 'tensor<4xi32>'}}
  %0 = onnx.Exp(%a) : (tensor<4xi32>) -> tensor<4xi32>
  return
}
