// RUN: nibble-opt %s --nibble-quantize-rtn | FileCheck %s

#q4_1 = {method = "rtn", scale_rule = "ggml", scheme = #nibble.scheme<int4, group = 32, scale = f16, zero = minimum, packing = rows>}
#q4_k = {method = "rtn", scale_rule = "ggml", scheme = #nibble.scheme<int4, group = 32, scale = f16, second = f16 x 8, zero = minimum, packing = rows>}

// Weights 2 and 17 in one short block: scale 1, minimum 2, codes 0 and 15.
// CHECK-LABEL: func.func @minimum(
func.func @minimum(%ids: tensor<?xi64>) -> tensor<?x2xf32> {
  // CHECK-DAG: %[[C:.+]] = nibble.constant {{.*}}dense<-16> : tensor<1x1xi8>
  // CHECK-DAG: %[[S:.+]] = nibble.constant {{.*}}dense<1.000000e+00> : tensor<1x1xf16>
  // CHECK-DAG: %[[Z:.+]] = nibble.constant {{.*}}dense<2.000000e+00> : tensor<1x1xf16>
  // CHECK: nibble.dequantize %[[C]], %[[S]] zeros %[[Z]] {scheme = #nibble.scheme<int4, group = 32, scale = f16, zero = minimum, packing = rows>}
  // CHECK: method = "rtn", scale_rule = "ggml", scale_type = "f16", scheme = "Q4_1"
  %t = nibble.constant dense<[[2.0, 17.0]]> : tensor<1x2xf32>
  %y = nibble.gather %ids weight(%t) {rows = 1 : i64, width = 2 : i64, nibble.request = #q4_1}
    : (tensor<?xi64>, tensor<1x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// A constant above zero is 63 (the largest sub-scale) times its super-block's,
// which is rounded to half precision, at code 15; no minimums.
// CHECK-LABEL: func.func @twoLevels(
func.func @twoLevels(%ids: tensor<?xi64>) -> tensor<?x256xf32> {
  // CHECK-DAG: %[[C:.+]] = nibble.constant {onnx.name = "t.codes"} dense<-1> : tensor<1x128xi8>
  // CHECK-DAG: %[[S:.+]] = nibble.constant {onnx.name = "t.scales"} dense<63> : tensor<1x8xi8>
  // CHECK-DAG: %[[Z:.+]] = nibble.constant {onnx.name = "t.zeros"} dense<0> : tensor<1x8xi8>
  // CHECK-DAG: %[[L:.+]] = nibble.constant {onnx.name = "t.second"} dense<{{.*}}> : tensor<2x1xf16>
  // CHECK: nibble.dequantize %[[C]], %[[S]] zeros %[[Z]] second %[[L]]
  // 128 + 8 + 8 + 4 bytes.
  // CHECK: nibble.report = {bytes = 148 : i64, {{.*}} scheme = "Q4_K"
  %t = nibble.constant {onnx.name = "t"} dense<9.45> : tensor<1x256xf32>
  %y = nibble.gather %ids weight(%t) {rows = 1 : i64, width = 256 : i64, nibble.request = #q4_k}
    : (tensor<?xi64>, tensor<1x256xf32>) -> tensor<?x256xf32>
  return %y : tensor<?x256xf32>
}
