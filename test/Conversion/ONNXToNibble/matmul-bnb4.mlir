// Weights of com.microsoft.MatMulBnb4 keep their codes and scales.
// RUN: nibble-opt %s -split-input-file -verify-diagnostics -convert-onnx-to-nibble | FileCheck %s

// The first code of a byte is in the high bits, which become the low ones.
// CHECK-LABEL: func.func @blocks
func.func @blocks(%x: tensor<2x16xf32>) -> tensor<2x2xf32> {
  // CHECK: %[[W:.*]] = nibble.constant {onnx.name = "w.codes"} dense<{{\[\[}}15, 18, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 112{{\]\]}}> : tensor<2x8xi8>
  // CHECK: %[[S:.*]] = nibble.constant {onnx.name = "w.scales"} dense<{{\[\[}}5.000000e-01], [2.000000e+00{{\]\]}}> : tensor<2x1xf32>
  // CHECK: nibble.matmul %arg0 weight(%[[W]], %[[S]]) {k = 16 : i64, layers = ["fc"], n = 2 : i64, scheme = #nibble.scheme<nf4, group = 16, scale = f32, packing = rows>}
  %w = onnx.Constant {onnx.name = "w", value = dense<[240, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]> : tensor<16xui8>} : tensor<16xui8>
  %s = onnx.Constant {value = dense<[0.5, 2.0]> : tensor<2xf32>} : tensor<2xf32>
  %y = onnx.microsoft.MatMulBnb4(%x, %w, %s) {K = 16 : i64, N = 2 : i64, block_size = 16 : i64, quant_type = 1 : i64, onnx.name = "fc"} : (tensor<2x16xf32>, tensor<16xui8>, tensor<2xf32>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

// A block of 16 goes over rows of 12: groups of 4 have its scale. The last
// block is short.
// CHECK-LABEL: func.func @across_rows
func.func @across_rows(%x: tensor<?x12xf16>) -> tensor<?x3xf16> {
  // CHECK: dense<{{\[\[}}1.000000e+00, 1.000000e+00, 1.000000e+00], [1.000000e+00, 2.000000e+00, 2.000000e+00], [2.000000e+00, 2.000000e+00, 3.000000e+00{{\]\]}}> : tensor<3x3xf16>
  // CHECK: %[[X:.+]] = onnx.Cast(%arg0)
  // CHECK: %[[Y:.+]] = nibble.matmul %[[X]] {{.*}}scheme = #nibble.scheme<fp4, group = 4, scale = f16, packing = rows>
  // CHECK: onnx.Cast(%[[Y]])
  %w = onnx.Constant {value = dense<17> : tensor<18xui8>} : tensor<18xui8>
  %s = onnx.Constant {value = dense<[1.0, 2.0, 3.0]> : tensor<3xf16>} : tensor<3xf16>
  %y = onnx.microsoft.MatMulBnb4(%x, %w, %s) {K = 12 : i64, N = 3 : i64, block_size = 16 : i64, quant_type = 0 : i64} : (tensor<?x12xf16>, tensor<18xui8>, tensor<3xf16>) -> tensor<?x3xf16>
  return %y : tensor<?x3xf16>
}

// -----

func.func @transposed(%x: tensor<2x2xf32>) -> tensor<2x16xf32> {
  %w = onnx.Constant {value = dense<0> : tensor<16xui8>} : tensor<16xui8>
  %s = onnx.Constant {value = dense<1.0> : tensor<2xf32>} : tensor<2xf32>
  // expected-error @+1 {{transB is 0, expected 1}}
  %y = onnx.microsoft.MatMulBnb4(%x, %w, %s) {K = 16 : i64, N = 2 : i64, block_size = 16 : i64, quant_type = 1 : i64, transB = 0 : i64} : (tensor<2x2xf32>, tensor<16xui8>, tensor<2xf32>) -> tensor<2x16xf32>
  return %y : tensor<2x16xf32>
}
