// Names, types, attributes of each kind but those that have their defaults, and
// absent operands.
// RUN: nibble-translate --export-onnx %s | %decode | FileCheck %s

// CHECK: ir_version: 10
// CHECK: producer_name: "nibble"
// CHECK: node {
// CHECK-NEXT: input: "x"
// CHECK-NEXT: input: ""
// CHECK-NEXT: input: "limit"
// CHECK-NEXT: output: "clip_output_0"
// CHECK-NEXT: name: "clip"
// CHECK-NEXT: op_type: "Clip"
// CHECK: node {
// CHECK-NEXT: input: "clip_output_0"
// CHECK-NEXT: output: "y"
// CHECK-NEXT: name: "pool"
// CHECK-NEXT: op_type: "MaxPool"
// CHECK: attribute {
// CHECK-NEXT: name: "auto_pad"
// CHECK-NEXT: s: "VALID"
// CHECK-NEXT: type: STRING
// CHECK-NOT: name: "ceil_mode"
// CHECK: name: "kernel_shape"
// CHECK-NEXT: ints: 2
// CHECK-NEXT: ints: 2
// CHECK-NEXT: type: INTS
// CHECK: name: "small"
// CHECK: initializer {
// CHECK-NEXT: data_type: 1
// CHECK-NEXT: name: "limit"
// CHECK-NEXT: raw_data: "\000\000\300@"
// CHECK: input {
// CHECK-NEXT: name: "x"
// CHECK: dim_param: "batch"
// CHECK: output {
// CHECK-NEXT: name: "y"
// CHECK-NOT: value_info {{.*}}"y"
// CHECK: opset_import {
// CHECK-NEXT: domain: ""
// CHECK-NEXT: version: 25

module attributes {onnx.opset_version = 28 : i64, onnx.graph_name = "small"} {
  func.func @main_graph(
      %x: tensor<?x1x4x4xf32> {onnx.name = "x", onnx.dim_names = ["batch", "", "", ""]})
      -> (tensor<?x1x3x3xf32> {onnx.name = "y", onnx.dim_names = ["batch", "", "", ""]}) {
    %none = onnx.NoValue : none
    %limit = onnx.Constant {value = dense<6.0> : tensor<f32>, onnx.name = "limit"} : tensor<f32>
    %0 = onnx.Clip(%x, %none, %limit) {onnx.name = "clip"}
       : (tensor<?x1x4x4xf32>, none, tensor<f32>) -> tensor<?x1x4x4xf32>
    %y, %indices = onnx.MaxPool(%0) {auto_pad = "VALID", kernel_shape = array<i64: 2, 2>, onnx.name = "pool"}
       : (tensor<?x1x4x4xf32>) -> (tensor<?x1x3x3xf32>, none)
    return %y : tensor<?x1x3x3xf32>
  }
}
