// RUN: nibble-opt %s --canonicalize | FileCheck %s

#tensor = #nibble.scheme<int8, group = 0, scale = f32, zero = integer, packing = plain>
#block = #nibble.scheme<int8, group = 3, scale = f32, packing = plain>

// CHECK-LABEL: func.func @zero_bias(
func.func @zero_bias(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}) {k = 4 : i64, n = 3 : i64}
  %w = nibble.constant dense<0.5> : tensor<4x3xf32>
  %b = nibble.constant dense<[0.0, -0.0, 0.0]> : tensor<3xf32>
  %y = nibble.matmul %x weight(%w) bias(%b) {n = 3 : i64, k = 4 : i64, activation = #nibble.activation<none>}
    : (tensor<?x4xf32>, tensor<4x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// CHECK-LABEL: func.func @bias_stays(
func.func @bias_stays(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  // CHECK: bias(%{{.+}})
  %w = nibble.constant dense<0.5> : tensor<4x3xf32>
  %b = nibble.constant dense<[0.0, 1.0, 0.0]> : tensor<3xf32>
  %y = nibble.matmul %x weight(%w) bias(%b) {n = 3 : i64, k = 4 : i64}
    : (tensor<?x4xf32>, tensor<4x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// Codes that were only dequantized come back; with another scale they don't.
// CHECK-LABEL: func.func @requantize(
// CHECK-SAME: %[[Q:.+]]: tensor<?xi8>
func.func @requantize(%q: tensor<?xi8>, %s: tensor<f32>, %t: tensor<f32>, %z: tensor<i8>) -> (tensor<?xi8>, tensor<?xi8>) {
  // CHECK: %[[D:.+]] = nibble.dequantize
  // CHECK: %[[OTHER:.+]] = nibble.quantize %[[D]]
  // CHECK: return %[[Q]], %[[OTHER]]
  %d = nibble.dequantize %q, %s zeros %z {scheme = #tensor} : (tensor<?xi8>, tensor<f32>, tensor<i8>) -> tensor<?xf32>
  %a = nibble.quantize %d, %s, %z {scheme = #tensor} : (tensor<?xf32>, tensor<f32>, tensor<i8>) -> tensor<?xi8>
  %b = nibble.quantize %d, %t, %z {scheme = #tensor} : (tensor<?xf32>, tensor<f32>, tensor<i8>) -> tensor<?xi8>
  return %a, %b : tensor<?xi8>, tensor<?xi8>
}

// Small constants are computed: blocks of 3 along dimension 0.
// CHECK-LABEL: func.func @constant(
func.func @constant() -> (tensor<4x2xf32>, tensor<2xf32>) {
  // CHECK-DAG: dense<{{\[\[}}1.000000e+00, 4.000000e+00], [1.000000e+00, 4.000000e+00], [1.000000e+00, 4.000000e+00], [3.000000e+00, 8.000000e+00]]>
  // CHECK-DAG: dense<[2.000000e+00, 9.900000e+01]>
  %q = nibble.constant dense<[[1, 2], [1, 2], [1, 2], [1, 2]]> : tensor<4x2xi8>
  %s = nibble.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %a = nibble.dequantize %q, %s {scheme = #block, axis = 0 : i64} : (tensor<4x2xi8>, tensor<2x2xf32>) -> tensor<4x2xf32>
  %p = nibble.constant dense<[6, 200]> : tensor<2xi8>
  %t = nibble.constant dense<0.5> : tensor<f32>
  %z = nibble.constant dense<2> : tensor<i8>
  %b = nibble.dequantize %p, %t zeros %z {scheme = #tensor, unsigned_codes} : (tensor<2xi8>, tensor<f32>, tensor<i8>) -> tensor<2xf32>
  return %a, %b : tensor<4x2xf32>, tensor<2xf32>
}
