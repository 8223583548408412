// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @gather
// CHECK: onnx.Gather(%{{.*}}, %{{.*}}) : (tensor<512x64xf32>, tensor<?x7xi64>) -> tensor<?x7x64xf32>
func.func @gather(%table: tensor<512x64xf32>, %ids: tensor<?x7xi64>) -> tensor<?x7x64xf32> {
  %y = onnx.Gather(%table, %ids) : (tensor<512x64xf32>, tensor<?x7xi64>) -> tensor<?x7x64xf32>
  return %y : tensor<?x7x64xf32>
}

// CHECK-LABEL: func @gather_elements
// CHECK: onnx.GatherElements(%{{.*}}, %{{.*}}) {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x2xi64>) -> tensor<2x2xf32>
func.func @gather_elements(%x: tensor<2x3xf32>, %i: tensor<2x2xi64>) -> tensor<2x2xf32> {
  %y = onnx.GatherElements(%x, %i) {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x2xi64>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

// CHECK-LABEL: func @gather_nd
// CHECK: onnx.GatherND(%{{.*}}, %{{.*}}) : (tensor<2x3x4xf32>, tensor<5x2xi64>) -> tensor<5x4xf32>
func.func @gather_nd(%x: tensor<2x3x4xf32>, %i: tensor<5x2xi64>) -> tensor<5x4xf32> {
  %y = onnx.GatherND(%x, %i) : (tensor<2x3x4xf32>, tensor<5x2xi64>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}

// CHECK-LABEL: func @compress
// CHECK: onnx.Compress(%{{.*}}, %{{.*}}) {axis = 0 : i64} : (tensor<3x2xf32>, tensor<3xi1>) -> tensor<?x2xf32>
func.func @compress(%x: tensor<3x2xf32>, %c: tensor<3xi1>) -> tensor<?x2xf32> {
  %y = onnx.Compress(%x, %c) {axis = 0 : i64} : (tensor<3x2xf32>, tensor<3xi1>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: func @unique
// CHECK: onnx.Unique(%{{.*}}) : (tensor<6xf32>) -> (tensor<?xf32>, tensor<?xi64>, tensor<6xi64>, tensor<?xi64>)
func.func @unique(%x: tensor<6xf32>) -> tensor<?xf32> {
  %y, %i, %j, %n = onnx.Unique(%x) : (tensor<6xf32>) -> (tensor<?xf32>, tensor<?xi64>, tensor<6xi64>, tensor<?xi64>)
  return %y : tensor<?xf32>
}
