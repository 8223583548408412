// RUN: nibble-opt %s --nibble-assign-schemes="scheme=W4A16 group-size=32 method=awq,gptq head=W4A16" -verify-diagnostics | FileCheck %s
// RUN: nibble-opt %s --nibble-assign-schemes="scheme=W4A16 group-size=32 method=smoothquant head=W4A16" 2>/dev/null | FileCheck %s --check-prefix=ALONE
// RUN: not nibble-opt %s --nibble-assign-schemes="scheme=W8A8-dynamic method=awq head=W8A8-dynamic" 2>&1 | FileCheck %s --check-prefix=SCHEME
// RUN: not nibble-opt %s --nibble-assign-schemes="scheme=W4A16 method=gptq,awq" 2>&1 | FileCheck %s --check-prefix=ORDER
// RUN: not nibble-opt %s --pass-pipeline="builtin.module(nibble-assign-schemes{scheme=W4A16 method=awq head=W4A16},nibble-quantize-rtn)" 2>&1 | FileCheck %s --check-prefix=DATA

// What prepares the weight stands beside what chooses its codes.

// SCHEME: error: layer "fc": awq looks at errors of weights alone, and activations are quantized too: use smoothquant
// ORDER: error: method 'gptq' chooses codes and has to come last
// DATA: error: layer "fc": method awq has not prepared the weight: it needs samples (--data), or statistics (--calibration)

// CHECK-LABEL: func.func @products(
func.func @products(%x: tensor<?x64xf32>, %i: tensor<?xi64>) -> (tensor<?x10xf32>, tensor<?x64xf32>) {
  %w = nibble.constant dense<0.5> : tensor<64x10xf32>
  %t = nibble.constant dense<0.25> : tensor<9x64xf32>
  // CHECK: layers = ["fc"], n = 10 : i64, nibble.request = {method = "gptq", prepare = ["awq"], scale_rule = "{{.*}}", scheme = #nibble.scheme<int4, group = 32, scale = f16, packing = rows>}
  // ALONE: layers = ["fc"], n = 10 : i64, nibble.request = {method = "rtn", prepare = ["smoothquant"], scale_rule
  %y = nibble.matmul %x weight(%w) {n = 10 : i64, k = 64 : i64, layers = ["fc"]}
    : (tensor<?x64xf32>, tensor<64x10xf32>) -> tensor<?x10xf32>
  // CHECK: layers = ["table"], nibble.request = {method = "gptq", scale_rule
  // expected-remark @below {{layer "table" is quantized without awq: a table of rows is not multiplied with activations}}
  %z = nibble.gather %i weight(%t) {rows = 9 : i64, width = 64 : i64, layers = ["table"]}
    : (tensor<?xi64>, tensor<9x64xf32>) -> tensor<?x64xf32>
  return %y, %z : tensor<?x10xf32>, tensor<?x64xf32>
}
