// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Printed form, as text and as bytecode.

// CHECK-LABEL: func @batch_normalization
// CHECK: onnx.BatchNormalization(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<1x8x4x4xf32>, none, none)
func.func @batch_normalization(%x: tensor<1x8x4x4xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>, %mean: tensor<8xf32>, %var: tensor<8xf32>) -> tensor<1x8x4x4xf32> {
  %y, %m, %v = onnx.BatchNormalization(%x, %s, %b, %mean, %var) : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<1x8x4x4xf32>, none, none)
  return %y : tensor<1x8x4x4xf32>
}

// CHECK-LABEL: func @instance_normalization
// CHECK: onnx.InstanceNormalization(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4x4xf32>
func.func @instance_normalization(%x: tensor<1x8x4x4xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<1x8x4x4xf32> {
  %y = onnx.InstanceNormalization(%x, %s, %b) : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4x4xf32>
  return %y : tensor<1x8x4x4xf32>
}

// CHECK-LABEL: func @layer_normalization
// CHECK: onnx.LayerNormalization(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<?x7x64xf32>, tensor<64xf32>, tensor<64xf32>) -> (tensor<?x7x64xf32>, none, none)
func.func @layer_normalization(%x: tensor<?x7x64xf32>, %s: tensor<64xf32>, %b: tensor<64xf32>) -> tensor<?x7x64xf32> {
  %y, %m, %d = onnx.LayerNormalization(%x, %s, %b) : (tensor<?x7x64xf32>, tensor<64xf32>, tensor<64xf32>) -> (tensor<?x7x64xf32>, none, none)
  return %y : tensor<?x7x64xf32>
}

// CHECK-LABEL: func @rmsnormalization
// CHECK: onnx.RMSNormalization(%{{.*}}, %{{.*}}) : (tensor<?x7x64xf32>, tensor<64xf32>) -> tensor<?x7x64xf32>
func.func @rmsnormalization(%x: tensor<?x7x64xf32>, %s: tensor<64xf32>) -> tensor<?x7x64xf32> {
  %y = onnx.RMSNormalization(%x, %s) : (tensor<?x7x64xf32>, tensor<64xf32>) -> tensor<?x7x64xf32>
  return %y : tensor<?x7x64xf32>
}

// CHECK-LABEL: func @group_normalization
// CHECK: onnx.GroupNormalization(%{{.*}}, %{{.*}}, %{{.*}}) {num_groups = 2 : i64} : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4x4xf32>
func.func @group_normalization(%x: tensor<1x8x4x4xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<1x8x4x4xf32> {
  %y = onnx.GroupNormalization(%x, %s, %b) {num_groups = 2 : i64} : (tensor<1x8x4x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4x4xf32>
  return %y : tensor<1x8x4x4xf32>
}

// CHECK-LABEL: func @lrn
// CHECK: onnx.LRN(%{{.*}}) {size = 3 : i64} : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
func.func @lrn(%x: tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32> {
  %y = onnx.LRN(%x) {size = 3 : i64} : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  return %y : tensor<1x8x4x4xf32>
}

// CHECK-LABEL: func @dropout
// CHECK: onnx.Dropout(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<2x3xf32>, none, none) -> (tensor<2x3xf32>, none)
func.func @dropout(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %none = onnx.NoValue : none
  %y, %mask = onnx.Dropout(%x, %none, %none) : (tensor<2x3xf32>, none, none) -> (tensor<2x3xf32>, none)
  return %y : tensor<2x3xf32>
}
