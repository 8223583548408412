// RUN: nibble-opt %s --nibble-assign-schemes="scheme=W4A16 method=hqq group-size=2 head=W4A16" --nibble-quantize-hqq | FileCheck %s

// Two weights a group are exact: the scale is their distance over 15, and the
// zero, which need not be an integer, where the first has code 0.
// CHECK-LABEL: func.func @main(
// CHECK-DAG: %[[C:.+]] = nibble.constant {{.*}}dense<-16> : tensor<1x2xi8>
// CHECK-DAG: %[[S:.+]] = nibble.constant {{.*}}dense<{{\[\[}}1.000000e+00, 5.000000e-01]]> : tensor<1x2xf16>
// CHECK-DAG: %[[Z:.+]] = nibble.constant {{.*}}dense<{{\[\[}}-1.500000e+00, 5.000000e-01]]> : tensor<1x2xf16>
// CHECK: nibble.dequantize %[[C]], %[[S]] zeros %[[Z]] {scheme = #nibble.scheme<int4, group = 2, scale = f16, zero = float, packing = rows>}
// CHECK: method = "hqq"{{.*}}scheme = "W4A16"{{.*}}symmetric = false
func.func @main(%ids: tensor<?xi64>) -> tensor<?x4xf32> {
  %t = nibble.constant dense<[[1.5, 16.5, -0.25, 7.25]]> : tensor<1x4xf32>
  %y = nibble.gather %ids weight(%t) {rows = 1 : i64, width = 4 : i64}
    : (tensor<?xi64>, tensor<1x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
