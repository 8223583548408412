// RUN: not nibble-opt %s --convert-onnx-to-linalg 2>&1 | FileCheck %s

// All operators that cannot be lowered are in one message.
// CHECK: error: 2 operators cannot be compiled:
// CHECK-NEXT: ReduceSum 'total': axes must be constant
// CHECK-NEXT: Unique 'set': no lowering for this operator
// CHECK-NOT: error:
func.func @main(%x: tensor<2x3xf32>, %axes: tensor<?xi64>) -> tensor<?x?xf32> {
  %0 = onnx.ReduceSum(%x, %axes) {onnx.name = "total"} : (tensor<2x3xf32>, tensor<?xi64>) -> tensor<?x?xf32>
  %1:4 = onnx.Unique(%x) {onnx.name = "set"} : (tensor<2x3xf32>) -> (tensor<?xf32>, none, none, none)
  return %0 : tensor<?x?xf32>
}
