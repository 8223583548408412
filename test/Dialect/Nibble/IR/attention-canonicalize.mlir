// RUN: nibble-opt %s -canonicalize | FileCheck %s

// Heads are read and written where the projections have them.
// CHECK-LABEL: func.func @transposes(
// CHECK-SAME: %[[Q:[^:]+]]: tensor<1x?x4x8xf32>, %[[K:[^:]+]]: tensor<1x?x4x8xf32>
// CHECK-NOT: linalg.transpose
// CHECK: %[[Y:.+]] = nibble.attention %[[Q]], %[[K]], %{{.+}} {causal, key_by_token, query_by_token, result_by_token}
// CHECK-SAME: -> tensor<1x?x4x8xf32>
// CHECK: return %[[Y]]
func.func @transposes(%q: tensor<1x?x4x8xf32>, %k: tensor<1x?x4x8xf32>, %v: tensor<1x4x?x8xf32>,
                      %heads: tensor<1x4x?x8xf32>, %tokens: tensor<1x?x4x8xf32>) -> tensor<1x?x4x8xf32> {
  %qt = linalg.transpose ins(%q : tensor<1x?x4x8xf32>) outs(%heads : tensor<1x4x?x8xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%k : tensor<1x?x4x8xf32>) outs(%heads : tensor<1x4x?x8xf32>) permutation = [0, 2, 1, 3]
  %y = nibble.attention %qt, %kt, %v {causal} : (tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32>, tensor<1x4x?x8xf32>) -> tensor<1x4x?x8xf32>
  %yt = linalg.transpose ins(%y : tensor<1x4x?x8xf32>) outs(%tokens : tensor<1x?x4x8xf32>) permutation = [0, 2, 1, 3]
  return %yt : tensor<1x?x4x8xf32>
}

// CHECK-LABEL: func.func @all_true(
// CHECK: nibble.attention %{{.+}}, %{{.+}}, %{{.+}} : (
func.func @all_true(%q: tensor<1x4x2x8xf32>) -> tensor<1x4x2x8xf32> {
  %m = arith.constant dense<true> : tensor<1x1x2x2xi1>
  %y = nibble.attention %q, %q, %q mask(%m) : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>, tensor<1x1x2x2xi1>) -> tensor<1x4x2x8xf32>
  return %y : tensor<1x4x2x8xf32>
}

// A mask that is shorter than the keys hides the others.
// CHECK-LABEL: func.func @short_mask(
// CHECK: nibble.attention {{.+}} mask(
func.func @short_mask(%q: tensor<1x4x3x8xf32>) -> tensor<1x4x3x8xf32> {
  %m = arith.constant dense<true> : tensor<1x1x1x2xi1>
  %y = nibble.attention %q, %q, %q mask(%m) : (tensor<1x4x3x8xf32>, tensor<1x4x3x8xf32>, tensor<1x4x3x8xf32>, tensor<1x1x1x2xi1>) -> tensor<1x4x3x8xf32>
  return %y : tensor<1x4x3x8xf32>
}
