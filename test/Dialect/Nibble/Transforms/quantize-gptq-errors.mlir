// RUN: not nibble-opt %s --nibble-quantize-gptq 2>&1 | FileCheck %s --check-prefix=DATA
// RUN: not nibble-opt %s --nibble-quantize-gptq=calibration=%t.none 2>&1 | FileCheck %s --check-prefix=FILE
// RUN: not nibble-opt %s --nibble-quantize-gptq=damp-percent=1.5 2>&1 | FileCheck %s --check-prefix=DAMP
// RUN: not nibble-opt %s --nibble-quantize-gptq=block-size=0 2>&1 | FileCheck %s --check-prefix=BLOCK

// A layer with another method needs no data.
// RUN: nibble-opt %s --pass-pipeline='builtin.module(nibble-assign-schemes{scheme=W4A16 group-size=8 method=rtn}, nibble-quantize-gptq, nibble-quantize-rtn)' -o %t.mlir

// DATA: error: method gptq needs calibration data: give samples with --data, or run nibble-calibrate --hessian and give its result with --calibration
// FILE: error: can't read {{.*}}.none
// DAMP: error: damp-percent is 1.5: expected a part of the mean diagonal, from 0 to below 1
// BLOCK: error: block-size is 0: expected 1 column or more
func.func @f(%x: tensor<?x16xf32>) -> tensor<?x2xf32> {
  %w = nibble.constant dense<0.5> : tensor<2x16xf32>
  %y = nibble.matmul %x weight(%w) {n = 2 : i64, k = 16 : i64, transpose_weight, layers = ["fc"],
    nibble.request = {method = "gptq", scale_rule = "absmax", scheme =
      #nibble.scheme<int4, group = 8, scale = f32, packing = rows>}}
    : (tensor<?x16xf32>, tensor<2x16xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
