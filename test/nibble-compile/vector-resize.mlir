// RUN: nibble-compile %s --march=x86-64-v4 --compile-to=vector -o %t.mlir
// RUN: FileCheck %s --input-file=%t.mlir

// Linear resampling, a comparison and a choice: no element is stored alone.
// CHECK-LABEL: func.func @main_graph
// CHECK: vector.gather
// CHECK: arith.cmpf o{{[lg]}}t, {{.*}} : vector<16xf32>
// CHECK: arith.select {{.*}} : vector<16xi1>, vector<16xf32>
// CHECK-NOT: memref.store
func.func @main_graph(%x: tensor<1x3x16x16xf32> {onnx.name = "x"}) -> (tensor<1x3x32x32xf32> {onnx.name = "y"}) {
  %none = onnx.NoValue : none
  %s = onnx.Constant {value = dense<[1, 3, 32, 32]> : tensor<4xi64>} : tensor<4xi64>
  %h = onnx.Constant {value = dense<0.5> : tensor<f32>} : tensor<f32>
  %r = onnx.Resize(%x, %none, %none, %s) {mode = "linear", onnx.name = "up"} : (tensor<1x3x16x16xf32>, none, none, tensor<4xi64>) -> tensor<1x3x32x32xf32>
  %c = onnx.Greater(%r, %h) {onnx.name = "above"} : (tensor<1x3x32x32xf32>, tensor<f32>) -> tensor<1x3x32x32xi1>
  %y = onnx.Where(%c, %r, %h) {onnx.name = "choice"} : (tensor<1x3x32x32xi1>, tensor<1x3x32x32xf32>, tensor<f32>) -> tensor<1x3x32x32xf32>
  return %y : tensor<1x3x32x32xf32>
}
