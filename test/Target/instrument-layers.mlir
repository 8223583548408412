// RUN: nibble-opt %s --nibble-instrument-layers --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s

// Work of the entry is measured under its layer's name; what runs inside of a
// parallel loop, or in other functions, is not.

// CHECK: nibble.layers = [{bytes = 8192 : i64, name = "fc1 + relu"}, {bytes = 0 : i64, name = "zero"}, {bytes = 0 : i64, name = "linalg.fill"}]
// CHECK: func.func private @nibble_rt_profile_begin(i32)
// CHECK: func.func private @nibble_rt_profile_end(i32)

// CHECK-LABEL: func.func @main_graph
func.func @main_graph(%x: memref<?x64xf32>, %y: memref<?x32xf32>, %z: memref<4xf32>)
    attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %w = nibble.weight dense<1.0> : tensor<64x32xf32> -> memref<64x32xf32>
  // CHECK:      %[[L0:.*]] = arith.constant 0 : i32
  // CHECK-NEXT: call @nibble_rt_profile_begin(%[[L0]])
  // CHECK-NEXT: nibble.matmul
  // CHECK-NEXT: call @nibble_rt_profile_end(%[[L0]])
  nibble.matmul %x weight(%w) outs(%y) {n = 32 : i64, k = 64 : i64, layers = ["fc1", "relu"]}
    : (memref<?x64xf32>, memref<64x32xf32>, memref<?x32xf32>) -> ()
  // CHECK:      %[[L1:.*]] = arith.constant 1 : i32
  // CHECK-NEXT: call @nibble_rt_profile_begin(%[[L1]])
  linalg.fill ins(%zero : f32) outs(%y : memref<?x32xf32>) loc("zero")
  // CHECK:      %[[L2:.*]] = arith.constant 2 : i32
  linalg.fill ins(%zero : f32) outs(%z : memref<4xf32>)
  // CHECK:     scf.parallel
  // CHECK-NOT: call
  scf.parallel (%i) = (%c0) to (%c4) step (%c1) {
    linalg.fill ins(%zero : f32) outs(%z : memref<4xf32>)
  }
  // CHECK: return
  return
}
// CHECK-LABEL: func.func private @other
// CHECK-NOT: call
func.func private @other(%z: memref<4xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%z : memref<4xf32>)
  return
}
