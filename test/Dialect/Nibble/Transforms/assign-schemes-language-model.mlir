// RUN: nibble-opt %s -split-input-file --nibble-assign-schemes="scheme=W4A16 group-size=8" -verify-diagnostics | FileCheck %s
// RUN: nibble-opt %s -split-input-file --nibble-assign-schemes="scheme=W4A16 group-size=8 head=W8A16" | FileCheck %s --check-prefix=HEAD

// A head shares the table of the embedding or is the last product; what lies
// between is a layer like any other.
// CHECK-LABEL: func.func @tied(
// HEAD-LABEL: func.func @tied(
func.func @tied(%ids: tensor<?xi64>) -> (tensor<?x9xf32>, tensor<?x8xf32>) {
  %t = nibble.constant dense<0.5> : tensor<9x8xf32>
  %w = nibble.constant dense<0.25> : tensor<8x8xf32>
  // HEAD: nibble.gather {{.*}}scheme = #nibble.scheme<int8
  // expected-remark @below {{layer "embed" is not quantized: it is the embedding of a language model (use --head)}}
  %x = nibble.gather %ids weight(%t) {rows = 9 : i64, width = 8 : i64, layers = ["embed"]} : (tensor<?xi64>, tensor<9x8xf32>) -> tensor<?x8xf32>
  // HEAD: layers = ["lm_head"]{{.*}}scheme = #nibble.scheme<int8
  // expected-remark @below {{layer "lm_head" is not quantized: it is the output head of a language model (use --head)}}
  %y = nibble.matmul %x weight(%t) {n = 9 : i64, k = 8 : i64, transpose_weight, layers = ["lm_head"]} : (tensor<?x8xf32>, tensor<9x8xf32>) -> tensor<?x9xf32>
  // CHECK: layers = ["fc"]{{.*}}nibble.request = {{.*}}scheme = #nibble.scheme<int4
  // HEAD: layers = ["fc"]{{.*}}scheme = #nibble.scheme<int4
  %z = nibble.matmul %x weight(%w) {n = 8 : i64, k = 8 : i64, layers = ["fc"]} : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  // expected-remark @below {{layer "fc2" is not quantized: it is the output head of a language model (use --head)}}
  %u = nibble.matmul %z weight(%w) {n = 8 : i64, k = 8 : i64, layers = ["fc2"]} : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y, %u : tensor<?x9xf32>, tensor<?x8xf32>
}
