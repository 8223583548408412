// RUN: nibble-opt %s --nibble-observe-tensors | FileCheck %s

// Floats with a name are observed where they are made; integers, constants and
// values without a name are not. A name that is there twice gets a number.
// CHECK-LABEL: func.func @main_graph
// CHECK-NEXT: nibble.observe %arg0 {id = 0 : i64, nibble.observed = {operator = "input"}, onnx.name = "x"} : tensor<?x8xf32>
// CHECK-NOT: nibble.observe
// CHECK: %[[A:.*]] = onnx.Relu(%arg0)
// CHECK-NEXT: nibble.observe %[[A]] {id = 1 : i64, nibble.observed = {operator = "Relu"}, onnx.name = "act"} : tensor<?x8xf32>
// CHECK-NEXT: %[[B:.*]] = onnx.Relu(%[[A]])
// CHECK-NEXT: nibble.observe %[[B]] {id = 2 : i64, {{.*}}, onnx.name = "act~2"}
// CHECK-NEXT: onnx.Shape
// CHECK-NEXT: onnx.Neg
// CHECK-NEXT: return
func.func @main_graph(%x: tensor<?x8xf32> {onnx.name = "x"}, %i: tensor<?xi64> {onnx.name = "i"}) -> tensor<?x8xf32> {
  %w = onnx.Constant {value = dense<1.0> : tensor<8xf32>, onnx.name = "w"} : tensor<8xf32>
  %a = onnx.Relu(%x) {onnx.name = "act"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = onnx.Relu(%a) {onnx.name = "act"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Shape(%b) {onnx.name = "shape"} : (tensor<?x8xf32>) -> tensor<2xi64>
  %n = onnx.Neg(%b) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %n : tensor<?x8xf32>
}

// The second result has its number.
// CHECK-LABEL: func.func @two
// CHECK: nibble.observe %{{.*}}#0 {{.*}}onnx.name = "split"}
// CHECK: nibble.observe %{{.*}}#1 {{.*}}onnx.name = "split#1"}
func.func @two(%x: tensor<4xf32>) -> tensor<2xf32> {
  %none = onnx.NoValue : none
  %0:2 = onnx.Split(%x, %none) {axis = 0 : i64, num_outputs = 2 : i64, onnx.name = "split"} : (tensor<4xf32>, none) -> (tensor<2xf32>, tensor<2xf32>)
  return %0#1 : tensor<2xf32>
}
