// RUN: nibble-opt %s --nibble-lower-linalg-to-loops --canonicalize --cse --split-input-file | FileCheck %s

// Three loops through memory without a gap are one, cut into blocks for threads
// and vectors; the last vector is masked.

#id = affine_map<(a, b, c) -> (a, b, c)>

// CHECK-LABEL: func.func @square
func.func @square(%x: memref<?x?x?xf32>, %y: memref<?x?x?xf32>) {
  // CHECK: %[[X:.*]] = memref.collapse_shape %arg0 {{\[}}[0, 1, 2]] : memref<?x?x?xf32> into memref<?xf32>
  // CHECK: scf.parallel
  // CHECK: scf.for {{.*}} step %c16
  // CHECK: %[[V:.*]] = vector.load %[[X]]
  // CHECK: arith.mulf %[[V]], %[[V]] fastmath<contract> : vector<16xf32>
  // CHECK: vector.store
  // CHECK: scf.if
  // CHECK: vector.create_mask
  // CHECK: vector.maskedload
  // CHECK: vector.maskedstore
  // CHECK-NOT: scf.for
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : memref<?x?x?xf32>) outs(%y : memref<?x?x?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.mulf %a, %a : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// A value per channel is loaded once for a row and broadcast.

#all = affine_map<(n, c, p) -> (n, c, p)>
#channel = affine_map<(n, c, p) -> (0, c, 0)>

// CHECK-LABEL: func.func @channel
func.func @channel(%x: memref<?x8x64xf32>, %b: memref<1x8x1xf32>, %y: memref<?x8x64xf32>) {
  // CHECK: scf.parallel
  // CHECK: scf.for
  // CHECK: scf.for
  // CHECK: %[[B:.*]] = memref.load
  // CHECK: %[[S:.*]] = vector.broadcast %[[B]] : f32 to vector<16xf32>
  // CHECK: arith.addf %{{.*}}, %[[S]]
  linalg.generic {indexing_maps = [#all, #channel, #all],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %b : memref<?x8x64xf32>, memref<1x8x1xf32>) outs(%y : memref<?x8x64xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %0 = arith.addf %a, %c : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// What may stop the run stays on the calling thread, in scalar loops.

// CHECK-LABEL: func.func @checked
func.func @checked(%x: memref<100000xi64>, %y: memref<100000xi64>) {
  // CHECK-NOT: scf.parallel
  // CHECK: scf.for
  // CHECK: cf.assert
  // CHECK-NOT: vector
  linalg.generic {indexing_maps = [affine_map<(a) -> (a)>, affine_map<(a) -> (a)>],
      iterator_types = ["parallel"]}
      ins(%x : memref<100000xi64>) outs(%y : memref<100000xi64>) {
  ^bb0(%a: i64, %o: i64):
    %c0 = arith.constant 0 : i64
    %0 = arith.cmpi sge, %a, %c0 : i64
    cf.assert %0, "negative"
    linalg.yield %a : i64
  }
  return
}
