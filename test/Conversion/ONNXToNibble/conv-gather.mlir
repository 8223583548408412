// RUN: nibble-opt %s --convert-onnx-to-nibble | FileCheck %s

// auto_pad becomes numbers; the odd one of SAME_UPPER goes to the end.
// CHECK-LABEL: func.func @auto_pad(
func.func @auto_pad(%x: tensor<?x2x8x7xf32>) -> tensor<?x4x4x4xf32> {
  // CHECK: nibble.conv %{{.+}} weight(%{{.+}}) {dilations = array<i64: 1, 1>, layers = ["c"], pads = array<i64: 0, 1, 1, 1>, strides = array<i64: 2, 2>, weight_shape = array<i64: 4, 2, 3, 3>}
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<0.5> : tensor<4x2x3x3xf32>} : tensor<4x2x3x3xf32>
  %y = onnx.Conv(%x, %w, %none) {auto_pad = "SAME_UPPER", strides = array<i64: 2, 2>, onnx.name = "c"}
    : (tensor<?x2x8x7xf32>, tensor<4x2x3x3xf32>, none) -> tensor<?x4x4x4xf32>
  return %y : tensor<?x4x4x4xf32>
}

// One dimension, groups, dilation and a bias.
// CHECK-LABEL: func.func @grouped(
func.func @grouped(%x: tensor<1x4x?xf32>) -> tensor<1x6x?xf32> {
  // CHECK: %[[B:.+]] = nibble.constant dense<1.000000e+00> : tensor<6xf32>
  // CHECK: nibble.conv %{{.+}} weight(%{{.+}}) bias(%[[B]]) {dilations = array<i64: 2>, group = 2 : i64, pads = array<i64: 1, 2>
  %w = onnx.Constant {value = dense<0.5> : tensor<6x2x3xf32>} : tensor<6x2x3xf32>
  %b = onnx.Constant {value = dense<1.0> : tensor<6xf32>} : tensor<6xf32>
  %y = onnx.Conv(%x, %w, %b) {group = 2 : i64, dilations = array<i64: 2>, pads = array<i64: 1, 2>}
    : (tensor<1x4x?xf32>, tensor<6x2x3xf32>, tensor<6xf32>) -> tensor<1x6x?xf32>
  return %y : tensor<1x6x?xf32>
}

// Padding that follows from a size known at run time stays.
// CHECK-LABEL: func.func @dynamic_padding(
func.func @dynamic_padding(%x: tensor<1x2x?xf32>) -> tensor<1x4x?xf32> {
  // CHECK: onnx.Conv
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<0.5> : tensor<4x2x3xf32>} : tensor<4x2x3xf32>
  %y = onnx.Conv(%x, %w, %none) {auto_pad = "SAME_LOWER"} : (tensor<1x2x?xf32>, tensor<4x2x3xf32>, none) -> tensor<1x4x?xf32>
  return %y : tensor<1x4x?xf32>
}

// Rows of a table are a gather; columns are not.
// CHECK-LABEL: func.func @embedding(
func.func @embedding(%ids: tensor<2x?xi64>) -> (tensor<2x?x8xf32>, tensor<9x2x?xf32>) {
  // CHECK: nibble.gather %{{.+}} weight(%{{.+}}) {layers = ["emb"], rows = 9 : i64, width = 8 : i64}
  // CHECK: onnx.Gather
  %t = onnx.Constant {value = dense<0.5> : tensor<9x8xf32>} : tensor<9x8xf32>
  %y = onnx.Gather(%t, %ids) {onnx.name = "emb"} : (tensor<9x8xf32>, tensor<2x?xi64>) -> tensor<2x?x8xf32>
  %z = onnx.Gather(%t, %ids) {axis = 1 : i64} : (tensor<9x8xf32>, tensor<2x?xi64>) -> tensor<9x2x?xf32>
  return %y, %z : tensor<2x?x8xf32>, tensor<9x2x?xf32>
}
