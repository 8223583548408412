// RUN: nibble-opt %s --nibble-assign-schemes="scheme=W4A16 group-size=32" -verify-diagnostics | FileCheck %s
// RUN: nibble-opt %s --nibble-assign-schemes="scheme=W3A16 symmetric=false scale-type=bf16 scale-rule=mse group-size=-1" 2>/dev/null | FileCheck %s --check-prefix=ASYM
// RUN: nibble-opt %s --nibble-assign-schemes | FileCheck %s --check-prefix=NONE

// CHECK-LABEL: func.func @products(
func.func @products(%x: tensor<?x64xf32>, %v: tensor<64x4xf32>) -> (tensor<?x10xf32>, tensor<?x4xf32>) {
  %w = nibble.constant dense<0.5> : tensor<64x10xf32>
  // CHECK: layers = ["fc"], n = 10 : i64, nibble.request = {method = "rtn", scale_rule = "signed-max", scheme = #nibble.scheme<int4, group = 32, scale = f16, packing = rows>}
  // ASYM: nibble.request = {method = "rtn", scale_rule = "mse", scheme = #nibble.scheme<int3, group = -1, scale = bf16, zero = integer, packing = rows>}
  // NONE-NOT: nibble.request
  %y = nibble.matmul %x weight(%w) {n = 10 : i64, k = 64 : i64, layers = ["fc"]}
    : (tensor<?x64xf32>, tensor<64x10xf32>) -> tensor<?x10xf32>
  // CHECK: layers = ["computed"], n = 4 : i64, nibble.report = {{.*}}reason = "its weight is not a constant"
  // expected-remark @below {{layer "computed" is not quantized: its weight is not a constant}}
  %z = nibble.matmul %x weight(%v) {n = 4 : i64, k = 64 : i64, layers = ["computed"]}
    : (tensor<?x64xf32>, tensor<64x4xf32>) -> tensor<?x4xf32>
  return %y, %z : tensor<?x10xf32>, tensor<?x4xf32>
}

// CHECK-LABEL: func.func @short_rows(
func.func @short_rows(%x: tensor<1x1x8x8xf32>) -> tensor<1x4x6x6xf32> {
  %w = nibble.constant dense<0.5> : tensor<4x1x3x3xf32>
  // CHECK: nibble.request = {{.*}}group = -1
  // expected-remark @below {{layer "conv": a group of 32 is larger than the row of 9; each row is one group}}
  %y = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 1, 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, layers = ["conv"]}
    : (tensor<1x1x8x8xf32>, tensor<4x1x3x3xf32>) -> tensor<1x4x6x6xf32>
  return %y : tensor<1x4x6x6xf32>
}
