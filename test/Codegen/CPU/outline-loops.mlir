// RUN: nibble-opt %s --nibble-outline-loops | FileCheck %s

// Equal loops of two layers are one function; the constant belongs to it, the
// row that differs is passed.
// CHECK-LABEL: func.func @main_graph(
// CHECK-SAME: %[[X:.*]]: memref<?x4xf32>, %[[Y:.*]]: memref<?x4xf32>, %[[ROW:.*]]: index
// CHECK: call @[[SCALE:nibble_generic]](%[[X]]) : (memref<?x4xf32>) -> ()
// CHECK: call @[[SCALE]](%[[Y]]) : (memref<?x4xf32>) -> ()
// CHECK: call @[[OTHER:nibble_generic_[0-9]+]](%[[Y]]) : (memref<?x4xf32>) -> ()
// CHECK: call @nibble_copy(%[[X]], %[[Y]])
// CHECK: %[[SUM:.*]] = call @nibble_for(%[[X]], %[[ROW]]) : (memref<?x4xf32>, index) -> f32
// CHECK: return %[[SUM]]
#id = affine_map<(i, j) -> (i, j)>
func.func @main_graph(%x: memref<?x4xf32>, %y: memref<?x4xf32>, %row: index) -> f32
    attributes {llvm.emit_c_interface} {
  %half = arith.constant 5.0e-01 : f32
  %two = arith.constant 2.0 : f32
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]}
      outs(%x : memref<?x4xf32>) {
  ^bb0(%a: f32):
    %0 = arith.mulf %a, %half : f32
    linalg.yield %0 : f32
  }
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]}
      outs(%y : memref<?x4xf32>) attrs = {layer = "second"} {
  ^bb0(%a: f32):
    %0 = arith.mulf %a, %half : f32
    linalg.yield %0 : f32
  }
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]}
      outs(%y : memref<?x4xf32>) {
  ^bb0(%a: f32):
    %0 = arith.mulf %a, %two : f32
    linalg.yield %0 : f32
  }
  memref.copy %x, %y : memref<?x4xf32> to memref<?x4xf32>
  %sum = scf.for %i = %c0 to %c4 step %c1 iter_args(%s = %zero) -> f32 {
    %0 = memref.load %x[%row, %i] : memref<?x4xf32>
    %1 = arith.addf %s, %0 : f32
    scf.yield %1 : f32
  }
  return %sum : f32
}
// CHECK: func.func private @[[SCALE]](%[[A:.*]]: memref<?x4xf32>) {
// CHECK: arith.constant 5.000000e-01
// CHECK: func.func private @[[OTHER]](
// CHECK: arith.constant 2.000000e+00
