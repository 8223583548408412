// RUN: not nibble-opt %s --convert-onnx-to-linalg 2>&1 | FileCheck %s

// There is no arithmetic on codes: an operator that would compute on them is an
// error, not a computation on bytes.
// CHECK: error: 2 operators cannot be compiled:
// CHECK-NEXT: ScatterElements 'add': elements of type i4 can only be moved and converted: convert them with Cast before
// CHECK-NEXT: Cast 'mode': round_mode is 'away', expected 'up', 'down' or 'nearest'
func.func @main(%x: tensor<4xi4>, %i: tensor<2xi64>, %u: tensor<2xi4>, %y: tensor<4xf32>) -> (tensor<4xi4>, tensor<4xf8E8M0FNU>) {
  %0 = onnx.ScatterElements(%x, %i, %u) {onnx.name = "add", reduction = "add"} : (tensor<4xi4>, tensor<2xi64>, tensor<2xi4>) -> tensor<4xi4>
  %1 = onnx.Cast(%y) {onnx.name = "mode", round_mode = "away", to = 24 : i64} : (tensor<4xf32>) -> tensor<4xf8E8M0FNU>
  return %0, %1 : tensor<4xi4>, tensor<4xf8E8M0FNU>
}
