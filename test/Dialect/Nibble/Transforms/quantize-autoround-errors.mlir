// RUN: not nibble-opt %s --nibble-quantize-autoround 2>&1 | FileCheck %s --check-prefix=DATA
// RUN: not nibble-opt %s --nibble-quantize-autoround=batch-size=0 2>&1 | FileCheck %s --check-prefix=BATCH
// RUN: not nibble-opt %s --nibble-quantize-autoround=learning-rate=2 2>&1 | FileCheck %s --check-prefix=RATE
// RUN: not nibble-opt %s --nibble-quantize-autoround=start=hqq 2>&1 | FileCheck %s --check-prefix=START

// Layers with other methods are none of its business.
// RUN: nibble-opt %s --pass-pipeline='builtin.module(nibble-assign-schemes{scheme=W4A16 group-size=8 method=rtn}, nibble-quantize-autoround)' | FileCheck %s --check-prefix=OTHER

// DATA: error: method autoround runs the model on samples: give them with --data
// BATCH: error: expected a batch size of at least 1
// RATE: error: expected a learning rate between 0 and 1, got 2.000000
// START: error: unknown start "hqq": expected gptq or rtn
// OTHER: nibble.request = {method = "rtn"
func.func @f(%x: tensor<?x16xf32>) -> tensor<?x2xf32> {
  %w = nibble.constant dense<0.5> : tensor<2x16xf32>
  %y = nibble.matmul %x weight(%w) {n = 2 : i64, k = 16 : i64, transpose_weight, layers = ["fc"],
    nibble.request = {method = "autoround", scale_rule = "absmax", scheme =
      #nibble.scheme<int4, group = 8, scale = f32, packing = rows>}}
    : (tensor<?x16xf32>, tensor<2x16xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
