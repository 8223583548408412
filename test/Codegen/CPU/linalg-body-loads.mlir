// RUN: nibble-opt %s --nibble-lower-linalg-to-loops --canonicalize --cse --split-input-file | FileCheck %s

// Rows of a table: the index is the same for a whole row, whose elements are
// neighbours in memory.

#row = affine_map<(i, j) -> (i)>
#id = affine_map<(i, j) -> (i, j)>

// CHECK-LABEL: func.func @rows
// CHECK: scf.for {{.*}} step %c16
// CHECK: memref.load {{.*}} : memref<?xi64>
// CHECK: vector.load {{.*}} : memref<?xf32>, vector<16xf32>
// CHECK: vector.store
// CHECK-NOT: vector.gather
func.func @rows(%table: memref<100x?xf32>, %ids: memref<?xi64>, %y: memref<?x?xf32>) {
  linalg.generic {indexing_maps = [#row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%ids : memref<?xi64>) outs(%y : memref<?x?xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %v = memref.load %table[%i, %j] : memref<100x?xf32>
    linalg.yield %v : f32
  }
  return
}

// -----

// Elements that lie anywhere are gathered, 16 at a time; positions in a memref
// of known size need 32 bits.

#column = affine_map<(i, j) -> (j)>
#id = affine_map<(i, j) -> (i, j)>

// CHECK-LABEL: func.func @columns
// CHECK: %[[IDS:.*]] = vector.load {{.*}} : memref<?xi64>, vector<16xi64>
// CHECK: %[[AT:.*]] = arith.index_cast %[[IDS]] : vector<16xi64> to vector<16xindex>
// CHECK: %[[NARROW:.*]] = arith.index_cast %[[AT]] : vector<16xindex> to vector<16xi32>
// CHECK: vector.gather {{.*}}[%[[NARROW]]]
func.func @columns(%table: memref<8x100xf32>, %ids: memref<?xi64>, %y: memref<8x?xf32>) {
  linalg.generic {indexing_maps = [#column, #id], iterator_types = ["parallel", "parallel"]}
      ins(%ids : memref<?xi64>) outs(%y : memref<8x?xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = linalg.index 0 : index
    %j = arith.index_cast %id : i64 to index
    %v = memref.load %table[%i, %j] : memref<8x100xf32>
    linalg.yield %v : f32
  }
  return
}

// -----

// Truth values are bytes in memory and bits in registers.

#id = affine_map<(i) -> (i)>

// CHECK-LABEL: func.func @choose
// CHECK: %[[BYTES:.*]] = builtin.unrealized_conversion_cast %arg0 : memref<?xi1> to memref<?xi8>
// CHECK: %[[C:.*]] = vector.load %[[BYTES]]
// CHECK: %[[BITS:.*]] = arith.cmpi ne, %[[C]], %{{.*}} : vector<16xi8>
// CHECK: arith.select %[[BITS]], %{{.*}} : vector<16xi1>, vector<16xf32>
func.func @choose(%c: memref<?xi1>, %x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%c, %x : memref<?xi1>, memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: i1, %b: f32, %o: f32):
    %v = arith.select %a, %b, %o : f32
    linalg.yield %v : f32
  }
  return
}

// -----

// CHECK-LABEL: func.func @compare
// CHECK: %[[BITS:.*]] = arith.cmpf olt
// CHECK: %[[BYTES:.*]] = arith.extui %[[BITS]] : vector<16xi1> to vector<16xi8>
// CHECK: vector.store %[[BYTES]]
#id = affine_map<(i) -> (i)>
func.func @compare(%x: memref<?xf32>, %y: memref<?xi1>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xi1>) {
  ^bb0(%a: f32, %o: i1):
    %v = arith.cmpf olt, %a, %zero : f32
    linalg.yield %v : i1
  }
  return
}
