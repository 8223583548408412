// Regions become graph attributes; constants are initializers of the main graph;
// an output that its graph does not make goes through an Identity.
// RUN: nibble-translate --export-onnx %s | %decode | FileCheck %s

// CHECK: graph {
// CHECK: op_type: "If"
// CHECK: name: "then_branch"
// CHECK: g {
// CHECK-NEXT: node {
// CHECK-NEXT: input: "x"
// CHECK-NEXT: input: "k"
// CHECK-NEXT: output: "sum_output_0"
// CHECK: op_type: "Add"
// CHECK: output {
// CHECK-NEXT: name: "sum_output_0"
// CHECK: type: GRAPH
// CHECK: name: "else_branch"
// CHECK: node {
// CHECK-NEXT: input: "x"
// CHECK-NEXT: output: "x_output"
// CHECK: op_type: "Identity"
// CHECK: output {
// CHECK-NEXT: name: "x_output"
// CHECK: node {
// CHECK-NEXT: input: "x"
// CHECK-NEXT: output: "same"
// CHECK: op_type: "Identity"
// CHECK: initializer {
// CHECK: name: "k"

module attributes {onnx.opset_version = 28 : i64} {
  func.func @main_graph(%c: tensor<i1> {onnx.name = "c"}, %x: tensor<2xf32> {onnx.name = "x"})
      -> (tensor<2xf32> {onnx.name = "y"}, tensor<2xf32> {onnx.name = "same"}) {
    %y = onnx.If(%c) then {
      %k = onnx.Constant {value = dense<[1.0, 2.0]> : tensor<2xf32>, onnx.name = "k"} : tensor<2xf32>
      %0 = onnx.Add(%x, %k) {onnx.name = "sum"} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
      onnx.Yield(%0) : tensor<2xf32>
    } else {
      onnx.Yield(%x) : tensor<2xf32>
    } {onnx.name = "if"} : (tensor<i1>) -> tensor<2xf32>
    return %y, %x : tensor<2xf32>, tensor<2xf32>
  }
}
