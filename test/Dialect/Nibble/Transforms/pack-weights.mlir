// RUN: nibble-opt %s --nibble-pack-weights | FileCheck %s

#w8 = #nibble.scheme<int8, group = 2, scale = f16, packing = rows>

// Codes become unsigned (+128); in a panel all 32 rows of a column come before
// the next column. The 31 rows that are missing have code 0.
// CHECK-LABEL: func.func @quantized(
func.func @quantized(%x: tensor<?x3xf32>) -> tensor<?x1xf32> {
  // CHECK-DAG: nibble.constant {onnx.name = "c"} dense<{{\[\[}}-127, {{(0, )*}}127, {{(0, )*}}-123, {{[0, ]*}}]]> : tensor<1x96xi8>
  // CHECK-DAG: nibble.constant {onnx.name = "s"} dense<{{\[\[\[}}1.000000e+00, {{[0.e+, ]*}}], [2.000000e+00, {{.*}}> : tensor<1x2x32xf16>
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}, %{{.+}}) {{.*}}packing = panel>} : (tensor<?x3xf32>, tensor<1x96xi8>, tensor<1x2x32xf16>)
  %c = nibble.constant {onnx.name = "c"} dense<[[1, -1, 5]]> : tensor<1x3xi8>
  %s = nibble.constant {onnx.name = "s"} dense<[[1.0, 2.0]]> : tensor<1x2xf16>
  %y = nibble.matmul %x weight(%c, %s) {n = 1 : i64, k = 3 : i64, scheme = #w8} : (tensor<?x3xf32>, tensor<1x3xi8>, tensor<1x2xf16>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// CHECK-LABEL: func.func @float(
func.func @float(%x: tensor<?x2xf32>) -> tensor<?x33xf32> {
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}) {{.*}}packed_float} : (tensor<?x2xf32>, tensor<2x2x32xf32>)
  %w = nibble.constant dense<1.0> : tensor<2x33xf32>
  %y = nibble.matmul %x weight(%w) {n = 33 : i64, k = 2 : i64} : (tensor<?x2xf32>, tensor<2x33xf32>) -> tensor<?x33xf32>
  return %y : tensor<?x33xf32>
}

// Tables and grouped convolutions keep their order.
// CHECK-LABEL: func.func @stays(
func.func @stays(%i: tensor<2xi64>, %x: tensor<1x2x8xf32>) -> (tensor<2x3xf32>, tensor<1x4x8xf32>) {
  // CHECK: nibble.gather {{.*}} : (tensor<2xi64>, tensor<5x3xf32>)
  // CHECK: nibble.conv {{.*}} : (tensor<1x2x8xf32>, tensor<4x1x1xf32>)
  %t = nibble.constant dense<1.0> : tensor<5x3xf32>
  %w = nibble.constant dense<1.0> : tensor<4x1x1xf32>
  %y = nibble.gather %i weight(%t) {rows = 5 : i64, width = 3 : i64} : (tensor<2xi64>, tensor<5x3xf32>) -> tensor<2x3xf32>
  %z = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 1, 1>, strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 2 : i64}
    : (tensor<1x2x8xf32>, tensor<4x1x1xf32>) -> tensor<1x4x8xf32>
  return %y, %z : tensor<2x3xf32>, tensor<1x4x8xf32>
}
