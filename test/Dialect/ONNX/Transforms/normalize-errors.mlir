// RUN: nibble-opt %s -onnx-normalize-opset -split-input-file -verify-diagnostics

// What has no equivalent is refused, naming the layer.

// expected-error@+1 {{the model uses opset 6, expected 7 to 28; convert it with onnx.version_converter}}
module attributes {onnx.opset_version = 6 : i64} {}

// -----

// expected-error@+1 {{the model uses opset 29, expected 7 to 28}}
module attributes {onnx.opset_version = 29 : i64} {}

// -----

module attributes {onnx.opset_version = 7 : i64} {
func.func @broadcast(%a: tensor<2x3xf32>, %b: tensor<2xf32>) {
  // expected-error@+1 {{(layer 'add') has the attribute axis, which opset 7 removed; convert the model to opset 7 or later}}
  %0 = onnx.Add(%a, %b) {axis = 0 : i64, onnx.name = "add"} : (tensor<2x3xf32>, tensor<2xf32>) -> tensor<2x3xf32>
  return
}
}

// -----

module attributes {onnx.opset_version = 7 : i64} {
func.func @spatial(%x: tensor<1x2xf32>, %s: tensor<2xf32>) {
  // expected-error@+1 {{(layer 'bn') has spatial = 0 (statistics per element), expected 1: opset 9 removed it}}
  %0:3 = onnx.BatchNormalization(%x, %s, %s, %s, %s) {spatial = 0 : i64, onnx.name = "bn"} : (tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2xf32>, none, none)
  return
}
}

// -----

// Both forms at once.
module attributes {onnx.opset_version = 13 : i64} {
func.func @both(%x: tensor<1x4xf32>, %axes: tensor<1xi64>) {
  // expected-error@+1 {{(layer 's') has both attribute and operand axes}}
  %0 = onnx.Squeeze(%x, %axes) {axes = array<i64: 0>, onnx.name = "s"} : (tensor<1x4xf32>, tensor<1xi64>) -> tensor<4xf32>
  return
}
}
