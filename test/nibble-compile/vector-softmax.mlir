// RUN: nibble-compile %s --march=x86-64-v4 --compile-to=vector -o %t.mlir
// RUN: FileCheck %s --input-file=%t.mlir

// Softmax along a dimension that is not the last: vectors run along the last
// one, and no element is stored alone.
// CHECK-LABEL: func.func @main_graph
// CHECK: arith.maximumf {{.*}} : vector<16xf32>
// CHECK: arith.divf {{.*}} : vector<16xf32>
// CHECK-NOT: memref.store
func.func @main_graph(%x: tensor<4x8x64xf32> {onnx.name = "x"}) -> (tensor<4x8x64xf32> {onnx.name = "y"}) {
  %y = onnx.Softmax(%x) {axis = 1 : i64, onnx.name = "softmax"} : (tensor<4x8x64xf32>) -> tensor<4x8x64xf32>
  return %y : tensor<4x8x64xf32>
}
