// RUN: nibble-opt %s --nibble-assign-schemes="scheme=W8A8-dynamic group-size=32 head=W8A8-dynamic" \
// RUN:   --nibble-quantize-rtn --nibble-fuse-dequantize --nibble-quantize-activations 2>&1 | FileCheck %s

// One range for each token, and one scale for each output channel, whatever the group
// size; two products of one input share its codes. A table is not multiplied.

// CHECK: remark: layer "embed" is quantized as W8A16: a table of rows is not multiplied with activations

// CHECK-LABEL: func.func @tokens(
// CHECK-SAME: %[[X:[^:]+]]: tensor<?x7x64xf32>
func.func @tokens(%x: tensor<?x7x64xf32>, %ids: tensor<4xi64>) -> (tensor<?x7x8xf32>, tensor<?x7x8xf32>, tensor<4x64xf32>) {
  %w = nibble.constant {onnx.name = "w"} dense<0.5> : tensor<64x8xf32>
  %v = nibble.constant {onnx.name = "v"} dense<0.25> : tensor<64x8xf32>
  %t = nibble.constant {onnx.name = "t"} dense<1.5> : tensor<16x64xf32>
  %b = nibble.constant dense<1.0> : tensor<8xf32>
  // CHECK: %[[Q:.+]]:3 = nibble.quantize_dynamic %[[X]] {row_rank = 2 : i64} : (tensor<?x7x64xf32>) -> (tensor<?x7x64xi8>, tensor<?x7xf32>, tensor<?x7xi8>)
  // CHECK-NOT: nibble.quantize_dynamic
  // CHECK: %[[S:.+]] = tensor.collapse_shape %{{.+}} {{\[}}[0, 1]] : tensor<8x1xf32> into tensor<8xf32>
  // CHECK: nibble.matmul_integer %[[Q]]#0 weight(%{{.+}} scales %[[S]]) input_zero(%[[Q]]#2) input_scale(%[[Q]]#1) bias(%{{.+}}) {
  // CHECK-SAME: activation = #nibble.activation<relu>
  // CHECK-SAME: layers = ["fc1"]
  // CHECK-SAME: transpose_weight, unsigned_input
  // CHECK: nibble.matmul_integer %[[Q]]#0
  // CHECK: nibble.gather
  %y = nibble.matmul %x weight(%w) bias(%b) {n = 8 : i64, k = 64 : i64, layers = ["fc1"], activation = #nibble.activation<relu>}
    : (tensor<?x7x64xf32>, tensor<64x8xf32>, tensor<8xf32>) -> tensor<?x7x8xf32>
  %z = nibble.matmul %x weight(%v) {n = 8 : i64, k = 64 : i64, layers = ["fc2"]}
    : (tensor<?x7x64xf32>, tensor<64x8xf32>) -> tensor<?x7x8xf32>
  %e = nibble.gather %ids weight(%t) {rows = 16 : i64, width = 64 : i64, layers = ["embed"]}
    : (tensor<4xi64>, tensor<16x64xf32>) -> tensor<4x64xf32>
  return %y, %z, %e : tensor<?x7x8xf32>, tensor<?x7x8xf32>, tensor<4x64xf32>
}

// One range for each sample.
// CHECK-LABEL: func.func @samples(
func.func @samples(%x: tensor<?x4x8x8xf32>, %r: tensor<?x6x8x8xf32>) -> tensor<?x6x8x8xf32> {
  // CHECK: %[[Q:.+]]:3 = nibble.quantize_dynamic %{{.+}} {row_rank = 1 : i64} : (tensor<?x4x8x8xf32>) -> (tensor<?x4x8x8xi8>, tensor<?xf32>, tensor<?xi8>)
  // CHECK: nibble.conv_integer %[[Q]]#0 weight(%{{.+}} scales %{{.+}}) input_zero(%[[Q]]#2) input_scale(%[[Q]]#1) residual(%{{.+}}) {
  // CHECK-SAME: group = 2 : i64
  // CHECK-SAME: -> tensor<?x6x8x8xf32>
  %w = nibble.constant {onnx.name = "w"} dense<0.5> : tensor<6x2x3x3xf32>
  %y = nibble.conv %x weight(%w) residual(%r) {weight_shape = array<i64: 6, 2, 3, 3>, strides = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 2 : i64, layers = ["conv"]}
    : (tensor<?x4x8x8xf32>, tensor<6x2x3x3xf32>, tensor<?x6x8x8xf32>) -> tensor<?x6x8x8xf32>
  return %y : tensor<?x6x8x8xf32>
}
