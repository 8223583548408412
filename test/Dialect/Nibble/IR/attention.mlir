// RUN: nibble-opt %s | nibble-opt | FileCheck %s

// CHECK-LABEL: func.func @grouped(
func.func @grouped(%q: tensor<?x9x?x64xf32>, %k: tensor<?x3x?x64xf32>, %v: tensor<?x3x?x32xf32>,
                   %m: tensor<1x1x?x?xi1>, %p: index) -> tensor<?x9x?x32xf32> {
  // CHECK: nibble.attention %{{.+}}, %{{.+}}, %{{.+}} mask(%{{.+}}) past(%{{.+}}) {causal, left_window = 16 : i64, scale = 1.250000e-01 : f64}
  %y = nibble.attention %q, %k, %v mask(%m) past(%p) {causal, left_window = 16 : i64, scale = 0.125 : f64}
    : (tensor<?x9x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?x3x?x32xf32>, tensor<1x1x?x?xi1>, index) -> tensor<?x9x?x32xf32>
  return %y : tensor<?x9x?x32xf32>
}

// Tokens before heads, and a value of another type.
// CHECK-LABEL: func.func @by_token(
func.func @by_token(%q: tensor<2x?x4x8xf16>, %k: tensor<2x4x5x8xf16>, %v: tensor<2x5x4x8xf32>) -> tensor<2x?x4x8xf16> {
  // CHECK: nibble.attention {{.+}} {query_by_token, result_by_token, softcap = 3.000000e+01 : f64, value_by_token}
  %y = nibble.attention %q, %k, %v {query_by_token, value_by_token, result_by_token, softcap = 30.0 : f64}
    : (tensor<2x?x4x8xf16>, tensor<2x4x5x8xf16>, tensor<2x5x4x8xf32>) -> tensor<2x?x4x8xf16>
  return %y : tensor<2x?x4x8xf16>
}

// Heads of a cache may lie apart.
// CHECK-LABEL: func.func @memrefs(
func.func @memrefs(%q: memref<?x4x1x8xf32>, %k: memref<?x2x?x8xf32, strided<[?, ?, ?, 1], offset: ?>>,
                   %n: memref<?xi64>, %y: memref<?x4x1x8xf32>) {
  // CHECK: nibble.attention %{{.+}}, %{{.+}}, %{{.+}} lengths(%{{.+}}) outs(%{{.+}}) {causal}
  nibble.attention %q, %k, %k lengths(%n) outs(%y) {causal}
    : (memref<?x4x1x8xf32>, memref<?x2x?x8xf32, strided<[?, ?, ?, 1], offset: ?>>,
       memref<?x2x?x8xf32, strided<[?, ?, ?, 1], offset: ?>>, memref<?xi64>, memref<?x4x1x8xf32>) -> ()
  return
}
