// RUN: nibble-opt %s --load-pass-plugin=%plugin \
// RUN:   --pass-pipeline='builtin.module(quantize-power-of-two)' | FileCheck %s
// RUN: nibble-opt %s --load-pass-plugin=%plugin \
// RUN:   --pass-pipeline='builtin.module(quantize-power-of-two,func.func(nibble-fuse-dequantize,nibble-verify-quantized))' \
// RUN:   | FileCheck %s --check-prefix=FUSED
// RUN: sed 's/packing = rows/zero = integer, packing = rows/' %s \
// RUN: | not nibble-opt --load-pass-plugin=%plugin \
// RUN:   --pass-pipeline='builtin.module(quantize-power-of-two)' 2>&1 | FileCheck %s --check-prefix=ERROR

// 14 / 7 = 2 is a power of two; 6 / 7 is rounded up to 1. The second row is
// [6, -3]: codes 6 and -3, 0xD6 as a signed byte -42.
// CHECK: %[[C:.+]] = nibble.constant {onnx.name = "w.codes"} dense<{{\[\[}}-25], [-42]]> : tensor<2x1xi8>
// CHECK: %[[S:.+]] = nibble.constant {onnx.name = "w.scales"} dense<{{\[\[}}2.000000e+00], [1.000000e+00]]> : tensor<2x1xf32>
// CHECK: %[[W:.+]] = nibble.dequantize %[[C]], %[[S]]
// CHECK: nibble.matmul %{{.+}} weight(%[[W]])
// CHECK-SAME: method = "power-of-two"

// FUSED-NOT: nibble.dequantize
// FUSED: nibble.matmul %{{.+}} weight(%{{.+}}, %{{.+}})

// ERROR: error: layer "fc": scales that are powers of two have no zero points; ask for a symmetric scheme

#request = {method = "power-of-two", scheme = #nibble.scheme<int4, group = -1, scale = f32, packing = rows>}

func.func @f(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = nibble.constant {onnx.name = "w"} dense<[[14.0, -4.0], [6.0, -3.0]]> : tensor<2x2xf32>
  %y = nibble.matmul %x weight(%w) {n = 2 : i64, k = 2 : i64, transpose_weight, layers = ["fc"], nibble.request = #request}
    : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
