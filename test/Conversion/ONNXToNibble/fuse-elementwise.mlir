// RUN: nibble-opt %s --convert-onnx-to-nibble | FileCheck %s

// Bias, residual and activation become part of the operation, which keeps the
// names of all layers. Both summands come from %x: their sizes agree.
// CHECK-LABEL: func.func @residual_block(
func.func @residual_block(%x: tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf32> {
  // CHECK: %[[B:.+]] = nibble.constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00]> : tensor<4xf32>
  // CHECK-NOT: cf.assert
  // CHECK: nibble.conv %[[X:.+]] weight(%{{.+}}) bias(%[[B]]) residual(%[[X]]) {activation = #nibble.activation<relu>
  // CHECK-SAME: layers = ["conv", "bias", "add", "act"]
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<0.5> : tensor<4x4x1x1xf32>} : tensor<4x4x1x1xf32>
  %b = onnx.Constant {value = dense<[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]> : tensor<4x1x1xf32>} : tensor<4x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) {onnx.name = "conv"} : (tensor<?x4x8x8xf32>, tensor<4x4x1x1xf32>, none) -> tensor<?x4x8x8xf32>
  %1 = onnx.Add(%0, %b) {onnx.name = "bias"} : (tensor<?x4x8x8xf32>, tensor<4x1x1xf32>) -> tensor<?x4x8x8xf32>
  %2 = onnx.Add(%x, %1) {onnx.name = "add"} : (tensor<?x4x8x8xf32>, tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf32>
  %3 = onnx.Relu(%2) {onnx.name = "act"} : (tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf32>
  return %3 : tensor<?x4x8x8xf32>
}

// Sizes that may differ are compared at run time.
// CHECK-LABEL: func.func @unknown_size(
func.func @unknown_size(%x: tensor<?x4xf32>, %r: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK: cf.assert %{{.+}}, "Add 'sum': dimension 0 of the operands differs"
  // CHECK: nibble.matmul %{{.+}} residual(%{{.+}})
  %w = onnx.Constant {value = dense<0.5> : tensor<4x4xf32>} : tensor<4x4xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Add(%0, %r) {onnx.name = "sum"} : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// x * sigmoid(x) is one activation; a second use of x keeps them apart.
// CHECK-LABEL: func.func @gates(
func.func @gates(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) {
  // CHECK: nibble.matmul %{{.+}} {activation = #nibble.activation<silu>
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}) {k = 4
  // CHECK: onnx.Relu
  %w = onnx.Constant {value = dense<0.5> : tensor<4x4xf32>} : tensor<4x4xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Sigmoid(%0) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.Mul(%0, %1) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %3 = onnx.MatMul(%x, %w) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %4 = onnx.Relu(%3) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %2, %3, %4 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
}
