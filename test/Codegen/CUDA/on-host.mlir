// RUN: nibble-opt %s --convert-nibble-to-cuda -o %t 2> %t.err
// RUN: FileCheck %s < %t
// RUN: FileCheck --check-prefix=REMARK %s < %t.err

// What has no kernel stays, and a remark says why, once for all such operations.
// Shapes stay without one.

#id = affine_map<(d0) -> (d0)>

// REMARK: remark: runs on the host, as 2 linalg.generic operations of the model: no kernel for cf.assert
// REMARK-NOT: remark:

// CHECK-LABEL: func.func @main_graph(
// CHECK: linalg.generic
// CHECK: cf.assert
// CHECK: linalg.generic
// CHECK: cf.assert
// CHECK: linalg.generic
// CHECK: arith.muli
// CHECK-NOT: gpu.module
func.func @main_graph(%x: memref<?xi64>, %y: memref<?xi64>, %shape: memref<4xi64>)
    attributes {llvm.emit_c_interface} {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%x : memref<?xi64>) outs(%y : memref<?xi64>) {
  ^bb0(%p: i64, %q: i64):
    %c0 = arith.constant 0 : i64
    %0 = arith.cmpi sge, %p, %c0 : i64
    cf.assert %0, "negative"
    linalg.yield %p : i64
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%y : memref<?xi64>) outs(%x : memref<?xi64>) {
  ^bb0(%p: i64, %q: i64):
    %c1 = arith.constant 1 : i64
    %0 = arith.cmpi sge, %p, %c1 : i64
    cf.assert %0, "not positive"
    linalg.yield %p : i64
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%shape : memref<4xi64>) outs(%shape : memref<4xi64>) {
  ^bb0(%p: i64, %q: i64):
    %0 = arith.muli %p, %p : i64
    linalg.yield %0 : i64
  }
  return
}
