// Operators on bytes dequantize, compute and quantize.
// RUN: nibble-opt %s -onnx-decompose-microsoft -onnx-infer-shapes | FileCheck %s

// CHECK-LABEL: func.func @sigmoid
func.func @sigmoid(%x: tensor<2x3xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<2x3xui8> {
  // CHECK: %[[X:.*]] = onnx.DequantizeLinear(%arg0, %arg1, %arg2) {{.*}} -> tensor<2x3xf32>
  // CHECK: %[[Y:.*]] = onnx.Sigmoid(%[[X]]) {onnx.name = "act"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: onnx.QuantizeLinear(%[[Y]], %arg1, %arg2) : {{.*}} -> tensor<2x3xui8>
  %y = onnx.microsoft.QLinearSigmoid(%x, %s, %z, %s, %z) {onnx.name = "act"} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xui8>
  return %y : tensor<2x3xui8>
}

// Without a zero point the type of the result is kept in an attribute.
// CHECK-LABEL: func.func @add
func.func @add(%x: tensor<2x3xi8>, %y: tensor<3xi8>, %s: tensor<f32>) -> tensor<2x3xi8> {
  %none = onnx.NoValue : none
  // CHECK-COUNT-2: onnx.DequantizeLinear
  // CHECK: onnx.Add
  // CHECK: onnx.QuantizeLinear({{.*}}) {output_dtype = 3 : i64} : {{.*}} -> tensor<2x3xi8>
  %z = onnx.microsoft.QLinearAdd(%x, %s, %none, %y, %s, %none, %s, %none) : (tensor<2x3xi8>, tensor<f32>, none, tensor<3xi8>, tensor<f32>, none, tensor<f32>, none) -> tensor<2x3xi8>
  return %z : tensor<2x3xi8>
}

// CHECK-LABEL: func.func @pool
// CHECK-SAME: -> tensor<1x1x1x3xui8>
func.func @pool(%x: tensor<1x8x9x3xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<?x?x?x?xui8> {
  // CHECK: onnx.Transpose(%arg0) {perm = array<i64: 0, 3, 1, 2>} : {{.*}} -> tensor<1x3x8x9xui8>
  // CHECK: onnx.GlobalAveragePool
  // CHECK: onnx.QuantizeLinear
  // CHECK: onnx.Transpose({{.*}}) {perm = array<i64: 0, 2, 3, 1>}
  %y = onnx.microsoft.QLinearGlobalAveragePool(%x, %s, %z, %s, %z) {channels_last = 1 : i64} : (tensor<1x8x9x3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<?x?x?x?xui8>
  return %y : tensor<?x?x?x?xui8>
}

// CHECK-LABEL: func.func @concat
func.func @concat(%x: tensor<2x3xui8>, %y: tensor<2x1xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<2x4xui8> {
  // CHECK-COUNT-2: onnx.DequantizeLinear
  // CHECK: onnx.Concat({{.*}}) {axis = 1 : i64}
  // CHECK: onnx.QuantizeLinear
  %c = onnx.microsoft.QLinearConcat(%s, %z, %x, %s, %z, %y, %s, %z) {axis = 1 : i64} : (tensor<f32>, tensor<ui8>, tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<2x1xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x4xui8>
  return %c : tensor<2x4xui8>
}
