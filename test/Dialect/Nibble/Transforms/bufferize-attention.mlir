// RUN: nibble-opt %s -one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" | FileCheck %s

// A part of a cache is read in place; the result has memory of its own.
// CHECK-LABEL: func.func @cache(
// CHECK-NOT: memref.copy
// CHECK: %[[Y:.+]] = memref.alloc(%{{.+}}) {{.*}} : memref<?x1x4x8xf32>
// CHECK: nibble.attention %{{.+}}, %{{.+}}, %{{.+}} past(%{{.+}}) outs(%[[Y]]) {causal, query_by_token, result_by_token}
// CHECK-SAME: memref<?x2x?x8xf32, strided<
func.func @cache(%q: tensor<?x1x4x8xf32>, %cache: tensor<?x2x64x8xf32>, %n: index, %b: index) -> tensor<?x1x4x8xf32> {
  %k = tensor.extract_slice %cache[0, 0, 0, 0] [%b, 2, %n, 8] [1, 1, 1, 1] : tensor<?x2x64x8xf32> to tensor<?x2x?x8xf32>
  %y = nibble.attention %q, %k, %k past(%n) {causal, query_by_token, result_by_token}
    : (tensor<?x1x4x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, index) -> tensor<?x1x4x8xf32>
  return %y : tensor<?x1x4x8xf32>
}

// Only elements that are not neighbours are copied.
// CHECK-LABEL: func.func @steps(
// CHECK: %[[SLICE:.+]] = memref.subview
// CHECK: memref.alloc
// CHECK: memref.copy %[[SLICE]], %[[COPY:[^ ]+]] :
// CHECK: nibble.attention %{{.+}}, %[[COPY]],
func.func @steps(%q: tensor<1x2x3x4xf32>, %wide: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32> {
  %k = tensor.extract_slice %wide[0, 0, 0, 0] [1, 2, 5, 4] [1, 1, 1, 2] : tensor<1x2x5x8xf32> to tensor<1x2x5x4xf32>
  %y = nibble.attention %q, %k, %v : (tensor<1x2x3x4xf32>, tensor<1x2x5x4xf32>, tensor<1x2x5x4xf32>) -> tensor<1x2x3x4xf32>
  return %y : tensor<1x2x3x4xf32>
}
