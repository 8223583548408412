// RUN: nibble-compile %s --march=x86-64-v4 --compile-to=vector -o %t.mlir
// RUN: FileCheck %s --input-file=%t.mlir

// The place of the largest element of a row: two folds of vectors.
// CHECK-LABEL: func.func @main_graph
// CHECK: vector.reduction <maximumf>
// CHECK: arith.cmpf oeq, {{.*}} : vector<16xf32>
// CHECK: vector.reduction <minsi>
func.func @main_graph(%x: tensor<4x1000xf32> {onnx.name = "x"}) -> (tensor<4xi64> {onnx.name = "y"}) {
  %y = onnx.ArgMax(%x) {axis = 1 : i64, keepdims = 0 : i64, onnx.name = "best"} : (tensor<4x1000xf32>) -> tensor<4xi64>
  return %y : tensor<4xi64>
}
