// RUN: nibble-opt %s --nibble-assign-schemes="scheme=Q4_K" 2>&1 | FileCheck %s --check-prefixes=Q4K
// RUN: nibble-opt %s --nibble-assign-schemes="scheme=Q2_K" 2>&1 | FileCheck %s --check-prefixes=Q2K
// RUN: nibble-opt %s --nibble-assign-schemes="scheme=Q8_0" 2>&1 | FileCheck %s --check-prefixes=Q80

// Rows of whole super-blocks have the type; others the one that llama.cpp would
// take, with a remark. Options on groups and scales have no say.

// Q4K: remark: layer "b" is quantized as Q5_0: rows of 96 are not whole blocks of 256, which Q4_K has
// Q4K: layers = ["a"]{{.*}} nibble.request = {method = "rtn", scale_rule = "ggml", scheme = #nibble.scheme<int4, group = 32, scale = f16, second = f16 x 8, zero = minimum, packing = rows>}
// Q4K: layers = ["b"]{{.*}} nibble.request = {method = "rtn", scale_rule = "ggml", scheme = #nibble.scheme<int5, group = 32, scale = f16, packing = rows>}

// Q2K: remark: layer "b" is quantized as Q4_0
// Q2K: layers = ["a"]{{.*}}#nibble.scheme<int2, group = 16, scale = f16, second = f16 x 16, zero = minimum, packing = rows>
// Q2K: layers = ["b"]{{.*}}#nibble.scheme<int4, group = 32, scale = f16, packing = rows>

// Q80-NOT: remark
// Q80: layers = ["a"]{{.*}}#nibble.scheme<int8, group = 32, scale = f16, packing = rows>
// Q80: layers = ["b"]{{.*}}#nibble.scheme<int8, group = 32, scale = f16, packing = rows>
func.func @main(%x: tensor<?x256xf32>, %y: tensor<?x96xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>) {
  %v = nibble.constant dense<1.0> : tensor<256x1xf32>
  %w = nibble.constant dense<2.0> : tensor<96x1xf32>
  %a = nibble.matmul %x weight(%v) {n = 1 : i64, k = 256 : i64, layers = ["a"]}
    : (tensor<?x256xf32>, tensor<256x1xf32>) -> tensor<?x1xf32>
  %b = nibble.matmul %y weight(%w) {n = 1 : i64, k = 96 : i64, layers = ["b"]}
    : (tensor<?x96xf32>, tensor<96x1xf32>) -> tensor<?x1xf32>
  return %a, %b : tensor<?x1xf32>, tensor<?x1xf32>
}
