// RUN: split-file %s %t
// RUN: nibble-opt %t/m.mlir --nibble-quantize-imatrix="calibration=%t/ones.yaml" | FileCheck %s --check-prefix=ONES
// RUN: nibble-opt %t/m.mlir --nibble-quantize-imatrix="calibration=%t/last.yaml" | FileCheck %s --check-prefix=LAST
// RUN: not nibble-opt %t/m.mlir --nibble-quantize-imatrix="calibration=%t/other.yaml" 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: not nibble-opt %t/m.mlir --nibble-quantize-imatrix 2>&1 | FileCheck %s --check-prefix=NONE

// If all columns count the same, the scale is that of least squares; if only the
// last one counts, it is exact: 5 = 5 * 1.
// ONES: nibble.constant {onnx.name = "w.scales"} dense<9.848630e-01> : tensor<1x1xf16>
// ONES: method = "imatrix"{{.*}}scheme = "Q4_0"
// LAST: nibble.constant {onnx.name = "w.scales"} dense<1.000000e+00> : tensor<1x1xf16>
// OTHER: error: layer "fc": '{{.*}}other.yaml' knows nothing of its activations: calibrate the model as it is compiled, or use method rtn
// NONE: error: layer "fc": method 'imatrix' needs the mean squares of calibration data, and there is none

//--- m.mlir
func.func @main(%x: tensor<?x4xf32>) -> tensor<?x1xf32> {
  %w = nibble.constant {onnx.name = "w"} dense<[[1.3], [-7.9], [2.6], [5.0]]> : tensor<4x1xf32>
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 4 : i64, layers = ["fc"], nibble.request = {method = "imatrix", scale_rule = "ggml",
      scheme = #nibble.scheme<int4, group = 32, scale = f16, packing = rows>}}
    : (tensor<?x4xf32>, tensor<4x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

//--- ones.yaml
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
  token-absmax: [1, 1, 1]
  min: [0, 0, 0, 0]
  max: [1, 1, 1, 1]
  mean-absolute: [1, 1, 1, 1]
  mean: [1, 1, 1, 1]
  mean-square: [1, 1, 1, 1]

//--- last.yaml
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
  token-absmax: [1, 1, 1]
  min: [0, 0, 0, 0]
  max: [1, 1, 1, 1]
  mean-absolute: [1, 1, 1, 1]
  mean: [1, 1, 1, 1]
  mean-square: [0, 0, 0, 1]

//--- other.yaml
version: 1
model: {name: m.onnx, hash: 0x0123456789abcdef}
method: minmax
options: {symmetric: false}
samples: 1
batches: 1
tensors: []
layers:
- name: fc2
  operator: MatMul
  rows: 1
  token-absmax: [1, 1, 1]
  min: [0, 0, 0, 0]
  max: [1, 1, 1, 1]
  mean-absolute: [1, 1, 1, 1]
  mean: [1, 1, 1, 1]
  mean-square: [0, 0, 0, 1]
