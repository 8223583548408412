// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// Dimensions of the same name are equal, so their quotient is known.

// CHECK-LABEL: func @names(
// CHECK-SAME: -> tensor<?x?x8xf32>
func.func @names(%x: tensor<?x?x32xf32> {onnx.dim_names = ["batch", "length", ""]},
                 %ids: tensor<?x?xi64> {onnx.dim_names = ["batch", "length"]}) -> tensor<*x!onnx.unknown> {
  %s = onnx.Shape(%ids) : (tensor<?x?xi64>) -> tensor<*x!onnx.unknown>
  %zero = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
  %batch = onnx.Gather(%s, %zero) : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : tensor<1xi64>
  %length = onnx.Gather(%s, %one) : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %four = onnx.Constant {value = dense<4> : tensor<1xi64>} : tensor<1xi64>
  %length4 = onnx.Mul(%length, %four) : (tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %rest = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %target = onnx.Concat(%batch, %length4, %rest) {axis = 0 : i64} : (tensor<*x!onnx.unknown>, tensor<*x!onnx.unknown>, tensor<1xi64>) -> tensor<*x!onnx.unknown>
  %y = onnx.Reshape(%x, %target) : (tensor<?x?x32xf32>, tensor<*x!onnx.unknown>) -> tensor<*x!onnx.unknown>
  return %y : tensor<*x!onnx.unknown>
}
