// RUN: not nibble-opt %s --nibble-choose-schemes="budget=1.5bpw" 2>&1 | FileCheck %s --check-prefix=BITS
// RUN: not nibble-opt %s --nibble-choose-schemes="budget=69B" 2>&1 | FileCheck %s --check-prefix=BYTES
// RUN: nibble-opt %s --nibble-choose-schemes="budget=70B" 2>&1 | FileCheck %s --check-prefix=FITS
// RUN: not nibble-opt %s --nibble-choose-schemes="max-error=1e-9" 2>&1 | FileCheck %s --check-prefix=ERROR
// RUN: not nibble-opt %s --nibble-choose-schemes 2>&1 | FileCheck %s --check-prefix=NEITHER
// RUN: not nibble-opt %s --nibble-choose-schemes="budget=many" 2>&1 | FileCheck %s --check-prefix=NUMBER
// RUN: not nibble-opt %s --nibble-quantize-rtn 2>&1 | FileCheck %s --check-prefix=OPEN
// RUN: not nibble-opt %s --nibble-choose-schemes="budget=9bpw write-config=/nowhere/rules.yaml" 2>&1 | FileCheck %s --check-prefix=FILE

// What can't be met says the least that can.
// BITS: error: a budget of 1.5bpw can't be met: the smallest choice takes 3.000bpw
// BYTES: error: a budget of 69B can't be met: the smallest choice takes 70B (70 B), of which 64 B are weights that nothing quantizes
// FITS: scheme = #nibble.scheme<int2
// ERROR: error: an error of at most 1e-9 can't be met: the least that is expected of these candidates is {{[0-9.]+e-[0-9]+}}
// NEITHER: error: schemes are to be chosen (auto): give one of --budget, such as 4.25bpw or 60MB, and --max-error
// NUMBER: error: --budget: budget 'many' is neither bits per weight nor a size
// OPEN: error: layer "fc": its scheme was not chosen: give --budget or --max-error
// FILE: error: --write-config: {{.*}}/nowhere/rules.yaml

#two = {scale_rule = "absmax", scheme = #nibble.scheme<int2, group = -1, scale = f16, packing = rows>}
#four = {scale_rule = "absmax", scheme = #nibble.scheme<int4, group = -1, scale = f16, packing = rows>}
#open = {method = "rtn", candidates = [#two, #four], scale_rule = "absmax", scheme = #nibble.scheme<int2, group = -1, scale = f16, packing = rows>}
func.func @f(%x: tensor<?x16xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>) {
  %w = nibble.constant dense<[[7.0], [-6.5], [5.0], [4.0], [-3.5], [2.0], [1.0], [0.0], [7.0], [-6.0], [5.5], [4.0], [-3.0], [2.0], [1.0], [0.0]]> : tensor<16x1xf32>
  %other = nibble.constant dense<0.5> : tensor<16x1xf32>
  %0 = nibble.matmul %x weight(%w) {n = 1 : i64, k = 16 : i64, layers = ["fc"], nibble.request = #open} : (tensor<?x16xf32>, tensor<16x1xf32>) -> tensor<?x1xf32>
  %1 = nibble.matmul %x weight(%other) {n = 1 : i64, k = 16 : i64, layers = ["float"]} : (tensor<?x16xf32>, tensor<16x1xf32>) -> tensor<?x1xf32>
  return %0, %1 : tensor<?x1xf32>, tensor<?x1xf32>
}
