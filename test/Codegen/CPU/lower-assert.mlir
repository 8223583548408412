// RUN: nibble-opt %s --nibble-lower-assert | FileCheck %s

// CHECK-DAG: llvm.mlir.global private constant @nibble_message_0("index out of range\00")
// CHECK-DAG: llvm.func @nibble_rt_fail(!llvm.ptr) attributes {passthrough = ["noreturn", "cold"]}

// CHECK-LABEL: func.func @f
func.func @f(%a: i1, %b: i1) {
  // CHECK: cf.cond_br %arg0, ^[[NEXT:.*]], ^[[FAIL:.*]]
  // CHECK: ^[[FAIL]]:
  // CHECK: %[[TEXT:.*]] = llvm.mlir.addressof @nibble_message_0
  // CHECK: llvm.call @nibble_rt_fail(%[[TEXT]])
  // CHECK: llvm.unreachable
  // CHECK: ^[[NEXT]]:
  // CHECK: cf.cond_br %arg1
  // The same message is stored once.
  // CHECK: llvm.mlir.addressof @nibble_message_0
  cf.assert %a, "index out of range"
  cf.assert %b, "index out of range"
  return
}
