// Products of bytes and fused products of floats.
// RUN: nibble-opt %s -onnx-decompose-microsoft -onnx-infer-shapes | FileCheck %s

// One zero point stands for all columns; C is in units of the product.
// CHECK-LABEL: func.func @gemm
func.func @gemm(%a: tensor<2x3xui8>, %b: tensor<4x3xi8>, %c: tensor<4xi32>, %s: tensor<f32>, %z: tensor<ui8>, %ws: tensor<4xf32>, %wz: tensor<i8>) -> tensor<2x4xf32> {
  // CHECK: onnx.Expand(%arg6
  // CHECK: %[[B:.*]] = onnx.DequantizeLinear(%arg1, %arg5, {{.*}}) {axis = 0 : i64}
  // CHECK: %[[S:.*]] = onnx.Mul(%arg3, %arg5)
  // CHECK: %[[C:.*]] = onnx.DequantizeLinear(%arg2, %[[S]],
  // CHECK: onnx.Gemm({{.*}}, %[[B]], %[[C]]) {onnx.name = "fc", transB = 1 : i64}
  %none = onnx.NoValue : none
  %y = onnx.microsoft.QGemm(%a, %s, %z, %b, %ws, %wz, %c, %none, %none) {transB = 1 : i64, onnx.name = "fc"} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<4x3xi8>, tensor<4xf32>, tensor<i8>, tensor<4xi32>, none, none) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @dynamic
func.func @dynamic(%a: tensor<2x3xf32>, %b: tensor<3x4xi8>, %s: tensor<4xf32>, %c: tensor<4xf32>) -> tensor<2x4xf32> {
  // CHECK: %[[Q:.*]], %[[S:.*]], %[[Z:.*]] = onnx.DynamicQuantizeLinear(%arg0)
  // CHECK: %[[A:.*]] = onnx.DequantizeLinear(%[[Q]], %[[S]], %[[Z]])
  // CHECK: %[[B:.*]] = onnx.DequantizeLinear(%arg1, %arg2, {{.*}}) : (tensor<3x4xi8>
  // CHECK: %[[Y:.*]] = onnx.MatMul(%[[A]], %[[B]])
  // CHECK: onnx.Add(%[[Y]], %arg3)
  %none = onnx.NoValue : none
  %y = onnx.microsoft.DynamicQuantizeMatMul(%a, %b, %s, %none, %c) : (tensor<2x3xf32>, tensor<3x4xi8>, tensor<4xf32>, none, tensor<4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @transposed
// CHECK-SAME: -> tensor<5x2x3xf32>
func.func @transposed(%a: tensor<2x5x4xf32>, %b: tensor<3x4xf32>) -> tensor<?x?x?xf32> {
  // CHECK: onnx.Transpose(%arg0) {perm = array<i64: 1, 0, 2>}
  // CHECK: onnx.Transpose(%arg1) {perm = array<i64: 1, 0>}
  // CHECK: onnx.MatMul
  // CHECK: onnx.Mul
  %y = onnx.microsoft.FusedMatMul(%a, %b) {alpha = 5.0e-01 : f32, transB = 1 : i64, transBatchA = 1 : i64} : (tensor<2x5x4xf32>, tensor<3x4xf32>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// CHECK-LABEL: func.func @norm
func.func @norm(%x: tensor<1x2x4xf32>, %g: tensor<4xf32>) -> (tensor<1x2x4xf32>, tensor<1x2x4xf32>) {
  // CHECK: %[[S:.*]] = onnx.Add(%arg0, %arg0)
  // CHECK: %[[Y:.*]] = onnx.RMSNormalization(%[[S]], %arg1) {epsilon = 9.{{[0-9]+}}E-13 : f32}
  // CHECK: return %[[Y]], %[[S]]
  %none = onnx.NoValue : none
  %y, %m, %v, %s = onnx.microsoft.SkipSimplifiedLayerNormalization(%x, %x, %g, %none) : (tensor<1x2x4xf32>, tensor<1x2x4xf32>, tensor<4xf32>, none) -> (tensor<1x2x4xf32>, none, none, tensor<1x2x4xf32>)
  return %y, %s : tensor<1x2x4xf32>, tensor<1x2x4xf32>
}
