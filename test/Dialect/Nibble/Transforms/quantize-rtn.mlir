// RUN: nibble-opt %s --nibble-quantize-rtn | FileCheck %s

#request = {method = "rtn", scale_rule = "absmax", scheme = #nibble.scheme<int4, group = 4, scale = f32, packing = rows>}
#asymmetric = {method = "rtn", scheme = #nibble.scheme<int4, group = -1, scale = f32, zero = integer, packing = rows>}

// Row 0 is [7, -7, 1, 0 | 14]: scales 1 and 2, the last group is ragged. Codes
// are two's complement, the first in the low bits: 7 and -7 are 0x97.
// CHECK-LABEL: func.func @symmetric(
func.func @symmetric(%x: tensor<?x5xf32>) -> tensor<?x1xf32> {
  // CHECK-DAG: %[[C:.+]] = nibble.constant {onnx.name = "w.codes"} dense<{{\[\[}}-105, 1, 7]]> : tensor<1x3xi8>
  // CHECK-DAG: %[[S:.+]] = nibble.constant {onnx.name = "w.scales"} dense<{{\[\[}}1.000000e+00, 2.000000e+00]]> : tensor<1x2xf32>
  // CHECK: %[[W:.+]] = nibble.dequantize %[[C]], %[[S]] {scheme = #nibble.scheme<int4, group = 4, scale = f32, packing = rows>, transpose} : {{.*}} -> tensor<5x1xf32>
  // CHECK: nibble.matmul %{{.+}} weight(%[[W]])
  // CHECK-SAME: nibble.report = {bytes = 11 : i64, cosine = 1.0{{.*}}, float_bytes = 20 : i64, group_size = 4 : i64, max_abs_error = 0.0{{.*}}, method = "rtn", scale_rule = "absmax", scale_type = "f32", scheme = "W4A16", shape = array<i64: 5, 1>, symmetric = true, weights = 5 : i64}
  // CHECK-NOT: nibble.request
  %w = nibble.constant {onnx.name = "w"} dense<[[7.0], [-7.0], [1.0], [0.0], [14.0]]> : tensor<5x1xf32>
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 5 : i64, layers = ["fc"], nibble.request = #request}
    : (tensor<?x5xf32>, tensor<5x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// [0, 15] and [-8, 7]: scale 1, zero points 0 and 8, codes 0 and 15.
// CHECK-LABEL: func.func @asymmetric(
func.func @asymmetric(%ids: tensor<?xi64>) -> tensor<?x2xf32> {
  // CHECK-DAG: nibble.constant {{.*}}dense<-16> : tensor<2x1xi8>
  // CHECK-DAG: nibble.constant {{.*}}dense<{{\[\[}}0], [8]]> : tensor<2x1xi8>
  // CHECK: nibble.dequantize {{.*}} zeros %{{.+}} {scheme = #nibble.scheme<int4, group = -1, scale = f32, zero = integer, packing = rows>}
  %t = nibble.constant dense<[[0.0, 15.0], [-8.0, 7.0]]> : tensor<2x2xf32>
  %y = nibble.gather %ids weight(%t) {rows = 2 : i64, width = 2 : i64, nibble.request = #asymmetric}
    : (tensor<?xi64>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// A table that embedding and head share is quantized once; a request for
// another method stays.
// CHECK-LABEL: func.func @shared(
func.func @shared(%ids: tensor<?xi64>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  // CHECK: %[[W:.+]] = nibble.dequantize
  // CHECK-NOT: nibble.dequantize
  // CHECK: nibble.gather %{{.+}} weight(%[[W]])
  // CHECK: nibble.matmul %{{.+}} weight(%[[W]])
  // CHECK: nibble.matmul {{.*}}nibble.request = {method = "other"
  %t = nibble.constant dense<[[0.0, 15.0], [-8.0, 7.0]]> : tensor<2x2xf32>
  %x = nibble.gather %ids weight(%t) {rows = 2 : i64, width = 2 : i64, nibble.request = #asymmetric} : (tensor<?xi64>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %y = nibble.matmul %x weight(%t) {n = 2 : i64, k = 2 : i64, transpose_weight, nibble.request = #asymmetric} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %z = nibble.matmul %x weight(%t) {n = 2 : i64, k = 2 : i64, nibble.request = {method = "other", scheme = #nibble.scheme<int4, group = -1, scale = f32, packing = rows>}} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y, %z : tensor<?x2xf32>, tensor<?x2xf32>
}
