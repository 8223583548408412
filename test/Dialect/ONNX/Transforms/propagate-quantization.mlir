// Data that is only moved between quantized tensors stays in bytes.
// RUN: nibble-opt %s -onnx-propagate-quantization -canonicalize | FileCheck %s

// CHECK-LABEL: func.func @same_scale
func.func @same_scale(%x: tensor<1x3x8x8xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<1x3x16xui8> {
  // CHECK-NOT: f32>) ->
  // CHECK: %[[P:.*]], %{{.*}} = onnx.MaxPool(%arg0) {{.*}} : (tensor<1x3x8x8xui8>) -> (tensor<1x3x4x4xui8>, none)
  // CHECK: %[[R:.*]] = onnx.Reshape(%[[P]]
  // CHECK: return %[[R]]
  %c = onnx.Constant {value = dense<2.0> : tensor<f32>} : tensor<f32>
  %shape = onnx.Constant {value = dense<[1, 3, 16]> : tensor<3xi64>} : tensor<3xi64>
  %d = onnx.DequantizeLinear(%x, %c, %z) : (tensor<1x3x8x8xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x8x8xf32>
  %p, %i = onnx.MaxPool(%d) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x3x8x8xf32>) -> (tensor<1x3x4x4xf32>, none)
  %r = onnx.Reshape(%p, %shape) : (tensor<1x3x4x4xf32>, tensor<3xi64>) -> tensor<1x3x16xf32>
  %q = onnx.QuantizeLinear(%r, %c, %z) : (tensor<1x3x16xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x3x16xui8>
  return %q : tensor<1x3x16xui8>
}

// The parts are brought to the scale of the whole; the second has it already.
// CHECK-LABEL: func.func @concat
func.func @concat(%x: tensor<2x3xui8>, %y: tensor<2x1xui8>, %s: tensor<f32>, %t: tensor<f32>, %z: tensor<ui8>) -> tensor<2x4xui8> {
  // CHECK: %[[D:.*]] = onnx.DequantizeLinear(%arg0, %arg2, %arg4)
  // CHECK: %[[Q:.*]] = onnx.QuantizeLinear(%[[D]], %arg3, %arg4)
  // CHECK: onnx.Concat(%[[Q]], %arg1) {axis = 1 : i64} : (tensor<2x3xui8>, tensor<2x1xui8>) -> tensor<2x4xui8>
  %a = onnx.DequantizeLinear(%x, %s, %z) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
  %b = onnx.DequantizeLinear(%y, %t, %z) : (tensor<2x1xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x1xf32>
  %c = onnx.Concat(%a, %b) {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %q = onnx.QuantizeLinear(%c, %t, %z) : (tensor<2x4xf32>, tensor<f32>, tensor<ui8>) -> tensor<2x4xui8>
  return %q : tensor<2x4xui8>
}

// Padding with zeros becomes padding with the zero point.
// CHECK-LABEL: func.func @pad
func.func @pad(%x: tensor<3xi8>, %s: tensor<f32>, %z: tensor<i8>) -> tensor<5xf32> {
  // CHECK: %[[P:.*]] = onnx.Pad(%arg0, %{{.*}}, %arg2, %{{.*}}) : (tensor<3xi8>, tensor<2xi64>, tensor<i8>, none) -> tensor<5xi8>
  // CHECK: onnx.DequantizeLinear(%[[P]], %arg1, %arg2)
  %none = onnx.NoValue : none
  %pads = onnx.Constant {value = dense<1> : tensor<2xi64>} : tensor<2xi64>
  %d = onnx.DequantizeLinear(%x, %s, %z) : (tensor<3xi8>, tensor<f32>, tensor<i8>) -> tensor<3xf32>
  %p = onnx.Pad(%d, %pads, %none, %none) : (tensor<3xf32>, tensor<2xi64>, none, none) -> tensor<5xf32>
  return %p : tensor<5xf32>
}

// Zero is the lowest code: no code is below. With another zero point Relu stays.
// CHECK-LABEL: func.func @bounds
func.func @bounds(%x: tensor<3xf32>) -> (tensor<3xui8>, tensor<3xui8>) {
  // CHECK: %[[R:.*]] = onnx.Relu(%arg0)
  // CHECK: %[[A:.*]] = onnx.QuantizeLinear(%arg0
  // CHECK: %[[B:.*]] = onnx.QuantizeLinear(%[[R]]
  // CHECK: return %[[A]], %[[B]]
  %s = onnx.Constant {value = dense<2.0> : tensor<f32>} : tensor<f32>
  %z = onnx.Constant {value = dense<0> : tensor<ui8>} : tensor<ui8>
  %z1 = onnx.Constant {value = dense<1> : tensor<ui8>} : tensor<ui8>
  %r = onnx.Relu(%x) : (tensor<3xf32>) -> tensor<3xf32>
  %a = onnx.QuantizeLinear(%r, %s, %z) : (tensor<3xf32>, tensor<f32>, tensor<ui8>) -> tensor<3xui8>
  %b = onnx.QuantizeLinear(%r, %s, %z1) : (tensor<3xf32>, tensor<f32>, tensor<ui8>) -> tensor<3xui8>
  return %a, %b : tensor<3xui8>, tensor<3xui8>
}

// A scale per channel does not move, and neither does a negative one over a MaxPool.
// CHECK-LABEL: func.func @stays
func.func @stays(%x: tensor<3x4xi8>, %s: tensor<3xf32>) -> tensor<12xf32> {
  // CHECK: onnx.DequantizeLinear(%arg0
  // CHECK: onnx.Reshape
  %none = onnx.NoValue : none
  %shape = onnx.Constant {value = dense<12> : tensor<1xi64>} : tensor<1xi64>
  %d = onnx.DequantizeLinear(%x, %s, %none) {axis = 0 : i64} : (tensor<3x4xi8>, tensor<3xf32>, none) -> tensor<3x4xf32>
  %r = onnx.Reshape(%d, %shape) : (tensor<3x4xf32>, tensor<1xi64>) -> tensor<12xf32>
  return %r : tensor<12xf32>
}

// Weights that training left in floats are rounded now, per channel.
// CHECK-LABEL: func.func @trained
func.func @trained() -> tensor<2x3xi8> {
  // CHECK: %[[C:.*]] = onnx.Constant {onnx.name = "w", value = dense<{{\[\[}}2, -1, 127], [-99, 1, 4]]> : tensor<2x3xi8>}
  // CHECK-NEXT: return %[[C]]
  %w = onnx.Constant {onnx.name = "w", value = dense<[[0.75, -0.4, 99.0], [-99.0, 0.9, 3.5]]> : tensor<2x3xf32>} : tensor<2x3xf32>
  %s = onnx.Constant {value = dense<[0.5, 1.0]> : tensor<2xf32>} : tensor<2xf32>
  %z = onnx.Constant {value = dense<0> : tensor<2xi8>} : tensor<2xi8>
  %q = onnx.QuantizeLinear(%w, %s, %z) {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2xf32>, tensor<2xi8>) -> tensor<2x3xi8>
  return %q : tensor<2x3xi8>
}

// CHECK-LABEL: func.func @largest
func.func @largest(%x: tensor<2x3xi8>, %z: tensor<i8>) -> tensor<2x1xi64> {
  // CHECK: onnx.ArgMax(%arg0)
  %s = onnx.Constant {value = dense<0.5> : tensor<f32>} : tensor<f32>
  %d = onnx.DequantizeLinear(%x, %s, %z) : (tensor<2x3xi8>, tensor<f32>, tensor<i8>) -> tensor<2x3xf32>
  %i = onnx.ArgMax(%d) {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x1xi64>
  return %i : tensor<2x1xi64>
}
