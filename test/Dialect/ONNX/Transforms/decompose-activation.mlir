// RUN: nibble-opt %s --pass-pipeline="builtin.module(func.func(onnx-decompose-activation))" | FileCheck %s

// ONNX Runtime has no Swish.

func.func @swish(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %0 = onnx.Swish(%x) {onnx.name = "act"} : (tensor<2xf32>) -> tensor<2xf32>
  %1 = onnx.Swish(%x) {alpha = 2.0 : f32, onnx.name = "quick"} : (tensor<2xf32>) -> tensor<2xf32>
  return %0, %1 : tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: func.func @swish
// CHECK-SAME: (%[[X:.*]]: tensor<2xf32>)
// CHECK: %[[S:.*]] = onnx.Sigmoid(%[[X]]) {onnx.name = "act_Sigmoid"}
// CHECK: %[[Y:.*]] = onnx.Mul(%[[X]], %[[S]]) {onnx.name = "act"}
// CHECK: %[[A:.*]] = onnx.Constant {{.*}}dense<2.000000e+00> : tensor<f32>
// CHECK: %[[P:.*]] = onnx.Mul(%[[X]], %[[A]])
// CHECK: %[[T:.*]] = onnx.Sigmoid(%[[P]])
// CHECK: %[[Z:.*]] = onnx.Mul(%[[X]], %[[T]])
// CHECK: return %[[Y]], %[[Z]]
