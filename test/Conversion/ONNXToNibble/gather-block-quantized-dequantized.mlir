// Other tables are dequantized, and a remark says why.
// RUN: nibble-opt %s -split-input-file -verify-diagnostics -convert-onnx-to-nibble | FileCheck %s

// CHECK-LABEL: func.func @columns
func.func @columns(%i: tensor<3xi64>, %t: tensor<2x16xui4>) -> tensor<2x3xf32> {
  // CHECK: %[[W:.*]] = onnx.DequantizeLinear({{.*}}) {block_size = 16 : i64}
  // CHECK: onnx.Gather(%[[W]], %arg0) {axis = 1 : i64, onnx.name = "embed"}
  %none = onnx.NoValue : none
  %c = onnx.Constant {value = dense<3> : tensor<2x16xui4>} : tensor<2x16xui4>
  %s = onnx.Constant {value = dense<0.5> : tensor<2x1xf32>} : tensor<2x1xf32>
  // expected-remark@+1 {{layer "embed" dequantizes its table: gather_axis is 1, expected the first of at least two}}
  %y = onnx.microsoft.GatherBlockQuantized(%c, %i, %s, %none) {block_size = 16 : i64, gather_axis = 1 : i64, onnx.name = "embed"} : (tensor<2x16xui4>, tensor<3xi64>, tensor<2x1xf32>, none) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

// CHECK-LABEL: func.func @computed
func.func @computed(%i: tensor<3xi64>, %t: tensor<2x16xui8>, %s: tensor<2x1xf32>) -> tensor<3x16xf32> {
  // CHECK: %[[Z:.*]] = onnx.Constant {value = dense<128> : tensor<2x1xui8>}
  // CHECK: onnx.DequantizeLinear(%arg1, %arg2, %[[Z]]) {block_size = 16 : i64}
  %none = onnx.NoValue : none
  // expected-remark@+1 {{layer "" dequantizes its table: its codes and scales are not constant}}
  %y = onnx.microsoft.GatherBlockQuantized(%t, %i, %s, %none) {bits = 8 : i64, block_size = 16 : i64} : (tensor<2x16xui8>, tensor<3xi64>, tensor<2x1xf32>, none) -> tensor<3x16xf32>
  return %y : tensor<3x16xf32>
}

// -----

func.func @packed(%i: tensor<3xi64>, %t: tensor<2x8xui8>, %s: tensor<2x1xf32>) -> tensor<3x16xf32> {
  %none = onnx.NoValue : none
  // expected-error@+1 {{cannot be compiled: its codes and scales are not constant}}
  %y = onnx.microsoft.GatherBlockQuantized(%t, %i, %s, %none) {block_size = 16 : i64} : (tensor<2x8xui8>, tensor<3xi64>, tensor<2x1xf32>, none) -> tensor<3x16xf32>
  return %y : tensor<3x16xf32>
}
