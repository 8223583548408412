// RUN: nibble-opt %s --nibble-assign-schemes="scheme=LLM.int8 group-size=32" \
// RUN:   --nibble-quantize-rtn --nibble-fuse-dequantize --nibble-quantize-activations --nibble-pack-weights 2>&1 \
// RUN:   | FileCheck %s
// RUN: nibble-opt %s --nibble-assign-schemes="scheme=LLM.int8 outlier-threshold=0" \
// RUN:   --nibble-quantize-rtn --nibble-fuse-dequantize --nibble-quantize-activations 2>&1 \
// RUN:   | FileCheck %s --check-prefix=OFF

// Outlier columns are found once for two products of one input. Their sum, with the
// residual, is the residual of the integer product, and both read one packed weight.
// Without a threshold no columns are left out. Convolutions keep float activations.

// CHECK: remark: layer "conv" is quantized as W8A16: only matrix products have outlier columns

// CHECK-LABEL: func.func @tokens(
// CHECK-SAME: %[[X:[^:]+]]: tensor<?x7x64xf32>, %[[R:[^:]+]]: tensor<?x7x8xf32>
// OFF-LABEL: func.func @tokens(
// OFF-NOT: nibble.matmul_outliers
func.func @tokens(%x: tensor<?x7x64xf32>, %r: tensor<?x7x8xf32>) -> (tensor<?x7x8xf32>, tensor<?x7x8xf32>) {
  %w = nibble.constant {onnx.name = "w"} dense<0.5> : tensor<64x8xf32>
  %v = nibble.constant {onnx.name = "v"} dense<0.25> : tensor<64x8xf32>
  %b = nibble.constant dense<1.0> : tensor<8xf32>
  // CHECK: %[[Q:.+]]:4 = nibble.quantize_outliers %[[X]] {threshold = 6.000000e+00 : f32}
  // CHECK-SAME: -> (tensor<?x7x64xi8>, tensor<?x7xf32>, tensor<64xi32>, tensor<1xi32>)
  // CHECK-NOT: nibble.quantize_outliers
  // CHECK: %[[Y:.+]] = nibble.matmul_outliers %[[X]], %[[Q]]#2, %[[Q]]#3 weight(%[[W:.+]] scales %[[S:.+]]) residual(%[[R]])
  // CHECK-SAME: layers = ["fc1"], n = 8 : i64, packed, transpose_weight
  // CHECK: nibble.matmul_integer %[[Q]]#0 weight(%[[W]] sums %{{.+}} scales %[[S]]) input_zero(%{{.+}}) input_scale(%[[Q]]#1) bias(%{{.+}}) residual(%[[Y]])
  // CHECK-SAME: activation = #nibble.activation<relu>
  // CHECK: nibble.matmul_outliers %[[X]], %[[Q]]#2, %[[Q]]#3
  // CHECK: nibble.matmul_integer %[[Q]]#0
  // OFF: %[[Q:.+]]:4 = nibble.quantize_outliers %{{.+}} {threshold = 0.000000e+00 : f32}
  // OFF: nibble.matmul_integer %[[Q]]#0 {{.*}} residual(%arg1)
  %y = nibble.matmul %x weight(%w) bias(%b) residual(%r) {n = 8 : i64, k = 64 : i64, layers = ["fc1"], activation = #nibble.activation<relu>}
    : (tensor<?x7x64xf32>, tensor<64x8xf32>, tensor<8xf32>, tensor<?x7x8xf32>) -> tensor<?x7x8xf32>
  %z = nibble.matmul %x weight(%v) {n = 8 : i64, k = 64 : i64, layers = ["fc2"]}
    : (tensor<?x7x64xf32>, tensor<64x8xf32>) -> tensor<?x7x8xf32>
  return %y, %z : tensor<?x7x8xf32>, tensor<?x7x8xf32>
}

// CHECK-LABEL: func.func @samples(
// CHECK-NOT: nibble.quantize_outliers
// CHECK: nibble.conv
func.func @samples(%x: tensor<?x4x8x8xf32>) -> tensor<?x6x8x8xf32> {
  %w = nibble.constant {onnx.name = "w"} dense<0.5> : tensor<6x4x3x3xf32>
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 6, 4, 3, 3>, strides = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, layers = ["conv"]}
    : (tensor<?x4x8x8xf32>, tensor<6x4x3x3xf32>) -> tensor<?x6x8x8xf32>
  return %y : tensor<?x6x8x8xf32>
}
