// RUN: nibble-opt %s --nibble-lower-linalg-to-loops --canonicalize --cse --split-input-file | FileCheck %s

// The innermost dimension is reduced in vectors; lanes are combined at the end.

// CHECK-LABEL: func.func @row_max
func.func @row_max(%x: memref<?x?xf32>, %y: memref<?xf32>) {
  // CHECK-DAG: %[[LOW:.*]] = arith.constant dense<0xFF800000> : vector<16xf32>
  // CHECK: scf.parallel
  // CHECK: %[[SUM:.*]] = scf.for {{.*}} iter_args(%[[ACC:.*]] = %[[LOW]]) -> (vector<16xf32>)
  // CHECK: arith.maximumf %{{.*}}, %[[ACC]]
  // CHECK: scf.if {{.*}} -> (vector<16xf32>)
  // CHECK: arith.select
  // CHECK: vector.reduction <maximumf>, {{.*}} : vector<16xf32> into f32
  linalg.generic {indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (a)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<?x?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.maximumf %a, %o : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// A product of two computed values: a tile of 4 rows by 4 vectors stays in
// registers, so a row of the second factor is loaded once for four rows.

// CHECK-LABEL: func.func @product
func.func @product(%x: memref<?x?xf32>, %w: memref<?x?xf32>, %y: memref<?x?xf32>) {
  // CHECK: scf.parallel
  // CHECK: scf.for {{.*}} step %c64
  // CHECK: %{{.*}}:16 = scf.for
  // CHECK-COUNT-4: vector.load
  // CHECK: arith.mulf {{.*}} fastmath<contract> : vector<16xf32>
  // CHECK: scf.yield
  linalg.matmul ins(%x, %w : memref<?x?xf32>, memref<?x?xf32>) outs(%y : memref<?x?xf32>)
  return
}
