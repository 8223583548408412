// RUN: nibble-opt %s -split-input-file -verify-diagnostics -nibble-assign-schemes=scheme=NF4 -nibble-quantize-rtn -nibble-fuse-dequantize | FileCheck %s
// RUN: not nibble-opt %s -split-input-file -nibble-assign-schemes='scheme=FP4 group-size=32 double-quant=true' -nibble-quantize-rtn -nibble-fuse-dequantize 2>/dev/null | FileCheck %s --check-prefix=TWICE

// The block of 64 starts with 2, -2, 0, 1, -0.5, 0.25, 0.1, -0.1: codes 15, 0,
// 7, 12, 4, 9, 8, 6, the first in the low bits of a byte. Scales are those of
// bitsandbytes, float32.
// CHECK-LABEL: func.func @codes(
// TWICE-LABEL: func.func @codes(
func.func @codes(%x: tensor<?x64xf32>) -> tensor<?x1xf32> {
  // CHECK: nibble.constant {onnx.name = "w.codes"} dense<{{\[\[}}15, -57, -108, 104, 119
  // CHECK: nibble.constant {onnx.name = "w.scales"} dense<2.000000e+00> : tensor<1x1xf32>
  // CHECK: nibble.matmul {{.*}} scheme = #nibble.scheme<nf4, group = 64, scale = f32, packing = rows>
  // TWICE: nibble.constant {onnx.name = "w.scales"} {{.*}} : tensor<1x2xi8>
  // TWICE: nibble.constant {onnx.name = "w.second"} dense<1.000000e+00> : tensor<2x1xf32>
  // TWICE: nibble.matmul %{{.+}} weight(%{{.+}}, %{{.+}} second %{{.+}}) {{.*}}double_quant
  // TWICE-SAME: scheme = #nibble.scheme<fp4, group = 32, scale = f32, second = dynamic f32 x 256 offset, packing = rows>
  %w = nibble.constant {onnx.name = "w"} dense<[[2.0, -2.0, 0.0, 1.0, -0.5, 0.25, 0.1, -0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]> : tensor<1x64xf32>
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 64 : i64, transpose_weight, layers = ["fc"]} : (tensor<?x64xf32>, tensor<1x64xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

// Blocks that cross rows: groups repeat their scales, and the report keeps the
// size that was asked for.
// CHECK-LABEL: func.func @across_rows(
// TWICE-LABEL: func.func @across_rows(
func.func @across_rows(%x: tensor<?x48xf32>) -> tensor<?x4xf32> {
  // CHECK: nibble.constant {onnx.name = "weight.scales"} dense<{{.*}}> : tensor<4x3xf32>
  // CHECK: group_size = 64 : i64
  // CHECK-SAME: scheme = #nibble.scheme<nf4, group = 16, scale = f32, packing = rows>
  // TWICE: second = dynamic f32 x 512 offset
  %w = nibble.constant dense<0.5> : tensor<48x4xf32>
  // expected-remark @+1 {{layer "fc": blocks of 64 do not end with rows of 48; groups of 16 repeat their scales, which takes 36 bytes more}}
  %y = nibble.matmul %x weight(%w) {n = 4 : i64, k = 48 : i64, layers = ["fc"]} : (tensor<?x48xf32>, tensor<48x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @nan(%x: tensor<?x2xf32>) -> tensor<?x1xf32> {
  %w = nibble.constant dense<[[0.5], [0x7FC00000]]> : tensor<2x1xf32>
  // expected-error @+1 {{layer "fc": weight at row 0, column 1 is NaN}}
  %y = nibble.matmul %x weight(%w) {n = 1 : i64, k = 2 : i64, layers = ["fc"]} : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}
