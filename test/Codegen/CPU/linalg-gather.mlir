// RUN: nibble-opt %s --nibble-lower-linalg-to-loops --canonicalize --cse --split-input-file | FileCheck %s

// A body that reads memory at computed places is vectorized: places that are
// the same for all lanes are read once, neighbours as a vector, others gathered.

#out = affine_map<(h, w) -> (h, w)>

// CHECK-LABEL: func.func @upsample
func.func @upsample(%x: memref<13x13xf32>, %at: memref<26x1xi64>, %y: memref<26x26xf32>) {
  // CHECK: scf.for %[[H:.*]] = %c0
  // CHECK: memref.load %{{.*}}[%[[H]]] : memref<26xi64>
  // CHECK: %[[COLUMNS:.*]] = vector.load %{{.*}}[%c0] : memref<26xi64>, vector<16xi64>
  // CHECK: arith.index_cast %[[COLUMNS]] : vector<16xi64> to vector<16xindex>
  // CHECK: vector.gather %{{.*}} : memref<?xf32>, vector<16xi32>, vector<16xi1>, vector<16xf32> into vector<16xf32>
  // CHECK: vector.store
  %c0 = arith.constant 0 : index
  linalg.generic {indexing_maps = [#out], iterator_types = ["parallel", "parallel"]}
      outs(%y : memref<26x26xf32>) {
  ^bb0(%o: f32):
    %h = linalg.index 0 : index
    %w = linalg.index 1 : index
    %a = memref.load %at[%h, %c0] : memref<26x1xi64>
    %b = memref.load %at[%w, %c0] : memref<26x1xi64>
    %i = arith.index_cast %a : i64 to index
    %j = arith.index_cast %b : i64 to index
    %v = memref.load %x[%i, %j] : memref<13x13xf32>
    linalg.yield %v : f32
  }
  return
}

// -----

// Vectors run along the output even if inputs are a few elements apart: a
// window of three steps is no loop for vectors.

#in = affine_map<(o, k) -> (o * 2 + k)>
#window = affine_map<(o, k) -> (k)>
#pooled = affine_map<(o, k) -> (o)>

// CHECK-LABEL: func.func @pool
func.func @pool(%x: memref<33xf32>, %k: memref<3xi8>, %y: memref<16xf32>) {
  // CHECK-NOT: vector.reduction
  // CHECK: vector.shuffle
  // CHECK: arith.maximumf {{.*}} : vector<16xf32>
  linalg.generic {indexing_maps = [#in, #window, #pooled], iterator_types = ["parallel", "reduction"]}
      ins(%x, %k : memref<33xf32>, memref<3xi8>) outs(%y : memref<16xf32>) {
  ^bb0(%a: f32, %b: i8, %o: f32):
    %0 = arith.maximumf %o, %a : f32
    linalg.yield %0 : f32
  }
  return
}
