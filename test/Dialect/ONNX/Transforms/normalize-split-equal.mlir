// RUN: nibble-opt %s --onnx-normalize-opset | FileCheck %s

// Opsets 13 to 17 split into equal parts where no sizes are given; opset 18
// wants their number.
// CHECK: onnx.Split(%{{.*}}, %{{.*}}) {num_outputs = 3 : i64}
module attributes {onnx.opset_version = 13 : i64} {
  func.func @f(%x: tensor<6xf32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
    %none = onnx.NoValue : none
    %0:3 = onnx.Split(%x, %none) : (tensor<6xf32>, none) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>)
    return %0#0, %0#1, %0#2 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
  }
}
