// RUN: nibble-opt %s --nibble-bufferize | FileCheck %s

// Buffers are 64-byte aligned, freed right after their last use, and computed
// in where they die; the input of the model is never written.

#id = affine_map<(a) -> (a)>

// CHECK-LABEL: func.func @main_graph
// CHECK-SAME: %[[X:.*]]: memref<64xf32>
func.func @main_graph(%x: tensor<64xf32>) -> tensor<10xf32> {
  // CHECK: %[[A:.*]] = memref.alloc() {alignment = 64 : i64} : memref<64xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[X]] : memref<64xf32>) outs(%[[A]]
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<64xf32>) outs(%x : tensor<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = math.sqrt %a : f32
    linalg.yield %1 : f32
  } -> tensor<64xf32>
  // CHECK: %[[Y:.*]] = memref.alloc() {alignment = 64 : i64} : memref<10xf32>
  // CHECK: nibble.matmul %[[A]] weight({{.*}}) outs(%[[Y]])
  // CHECK-NEXT: memref.dealloc %[[A]]
  %p = nibble.constant dense<0.5> : tensor<64x10xf32>
  %y = nibble.matmul %0 weight(%p) {n = 10 : i64, k = 64 : i64}
    : (tensor<64xf32>, tensor<64x10xf32>) -> tensor<10xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[Y]] : memref<10xf32>) outs(%[[Y]] : memref<10xf32>)
  // CHECK: return %[[Y]]
  %e = tensor.empty() : tensor<10xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%y : tensor<10xf32>) outs(%e : tensor<10xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.negf %a : f32
    linalg.yield %1 : f32
  } -> tensor<10xf32>
  return %z : tensor<10xf32>
}
