// RUN: nibble-opt %s --nibble-outline-loops | FileCheck %s

// A loop of the model stays, and what it holds is outlined. What makes memory
// or calls, and functions that are no entry, stay as they are.
// CHECK-LABEL: func.func @main_graph(
// CHECK: scf.for
// CHECK-NEXT: func.call @nibble_fill(
// CHECK: scf.for
// CHECK-NEXT: func.call @kernel
// CHECK: scf.parallel
// CHECK-NEXT: memref.alloc
func.func private @kernel(memref<4xf32>) attributes {nibble.kernel}

func.func @main_graph(%x: memref<4xf32>, %n: index) attributes {llvm.emit_c_interface} {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    linalg.fill ins(%zero : f32) outs(%x : memref<4xf32>)
  }
  scf.for %i = %c0 to %n step %c1 {
    func.call @kernel(%x) : (memref<4xf32>) -> ()
  }
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %a = memref.alloc() : memref<4xf32>
    memref.copy %x, %a : memref<4xf32> to memref<4xf32>
    memref.dealloc %a : memref<4xf32>
  }
  return
}

// CHECK-LABEL: func.func @other(
// CHECK: linalg.fill
func.func @other(%x: memref<4xf32>, %zero: f32) {
  linalg.fill ins(%zero : f32) outs(%x : memref<4xf32>)
  return
}
