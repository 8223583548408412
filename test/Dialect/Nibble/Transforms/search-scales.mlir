// RUN: split-file %s %t
// RUN: nibble-opt %t/m.mlir --nibble-search-scales="calibration=%t/stats.yaml" | FileCheck %s
// RUN: nibble-opt %t/m.mlir --nibble-search-scales="calibration=%t/stats.yaml smoothquant-alpha=1" | FileCheck %s --check-prefix=ALL
// RUN: not nibble-opt %t/m.mlir --nibble-search-scales 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not nibble-opt %t/m.mlir --nibble-search-scales="calibration=%t/stats.yaml smoothquant-alpha=auto" 2>&1 | FileCheck %s --check-prefix=AUTO
// RUN: not nibble-opt %t/mixed.mlir --nibble-search-scales="calibration=%t/stats.yaml" 2>&1 | FileCheck %s --check-prefix=MIXED

// s = sqrt(max|x| / max|w|) = [2, 0.5]: w1 = w * s, and x / s in front. What the
// method asked for is done, and what the file says must be divided by s.
// CHECK: nibble.constant dense<[5.000000e-01, 2.000000e+00]> : tensor<2xf32>
// CHECK: linalg.generic
// CHECK: nibble.constant dense<2.000000e+00> : tensor<1x2xf32>
// CHECK: nibble.folded_scales = array<f32: 2.000000e+00, 5.000000e-01>
// CHECK-SAME: nibble.request = {method = "rtn", prepared = ["smoothquant"], scale_rule
// ALL: nibble.folded_scales = array<f32: 4.000000e+00, 1.000000e+00>
// NONE: error: layer "fc": method smoothquant needs calibration data: give samples with --data, or run nibble-calibrate and give its result with --calibration
// AUTO: error: layer "fc": smoothquant-alpha=auto compares outputs, for which statistics do not suffice
// MIXED: error: layer "other": method awq can't prepare it, since layer "fc" reads the same values and asks for smoothquant: give both the same

//--- m.mlir
func.func @main(%x: tensor<?x2xf32>) -> tensor<?x1xf32> {
  %w = nibble.constant dense<[[1.0, 4.0]]> : tensor<1x2xf32>
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 2 : i64, transpose_weight, layers = ["fc"], nibble.request = {method = "rtn",
      prepare = ["smoothquant"], scale_rule = "absmax", scheme = #nibble.scheme<int4, group = -1, scale = f16, packing = rows>}}
    : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

//--- mixed.mlir
func.func @main(%x: tensor<?x2xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>) {
  %w = nibble.constant dense<[[1.0, 4.0]]> : tensor<1x2xf32>
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 2 : i64, transpose_weight, layers = ["fc"], nibble.request = {method = "rtn",
      prepare = ["smoothquant"], scale_rule = "absmax", scheme = #nibble.scheme<int4, group = -1, scale = f16, packing = rows>}}
    : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf32>
  %v = nibble.constant dense<[[2.0, 5.0]]> : tensor<1x2xf32>
  %z = nibble.matmul %x weight(%v) {n = 1 : i64, k = 2 : i64, transpose_weight, layers = ["other"], nibble.request = {method = "rtn",
      prepare = ["awq"], scale_rule = "absmax", scheme = #nibble.scheme<int4, group = -1, scale = f16, packing = rows>}}
    : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf32>
  return %y, %z : tensor<?x1xf32>, tensor<?x1xf32>
}

//--- stats.yaml
version: 1
model: {name: m.onnx, hash: 0x0123456789abcdef}
method: minmax
options: {symmetric: false}
samples: 1
batches: 1
tensors: []
layers:
- name: fc
  operator: MatMul
  rows: 1
  token-absmax: [4, 4, 4]
  min: [-4, 0]
  max: [1, 1]
  mean-absolute: [1, 1]
  mean: [1, 1]
  mean-square: [1, 1]
