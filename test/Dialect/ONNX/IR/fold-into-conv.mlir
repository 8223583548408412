// RUN: nibble-opt %s -canonicalize | FileCheck %s

// Constants per channel after a convolution become part of it.

// scale / sqrt(var) is 2 and 3; the bias is s * (b - mean) + B.
// CHECK-LABEL: func @batch_norm(
// CHECK-SAME: %[[X:[^:]*]]: tensor<1x1x4xf32>
// CHECK-DAG: %[[W:.*]] = onnx.Constant {onnx.name = "w", value = dense<{{\[\[\[}}2.000000e+00, 4.000000e+00]], {{\[\[}}9.000000e+00, 1.200000e+01]]]> : tensor<2x1x2xf32>}
// CHECK-DAG: %[[B:.*]] = onnx.Constant {value = dense<[8.000000e+00, 1.000000e+00]> : tensor<2xf32>}
// CHECK: %[[Y:.*]] = onnx.Conv(%[[X]], %[[W]], %[[B]]) {onnx.name = "c"}
// CHECK-NEXT: return %[[Y]]
func.func @batch_norm(%x: tensor<1x1x4xf32>) -> tensor<1x2x3xf32> {
  %w = onnx.Constant {value = dense<[[[1.0, 2.0]], [[3.0, 4.0]]]> : tensor<2x1x2xf32>, onnx.name = "w"} : tensor<2x1x2xf32>
  %b = onnx.Constant {value = dense<[5.0, 0.0]> : tensor<2xf32>} : tensor<2xf32>
  %scale = onnx.Constant {value = dense<[4.0, 3.0]> : tensor<2xf32>} : tensor<2xf32>
  %shift = onnx.Constant {value = dense<[0.0, 4.0]> : tensor<2xf32>} : tensor<2xf32>
  %mean = onnx.Constant {value = dense<[1.0, 1.0]> : tensor<2xf32>} : tensor<2xf32>
  %var = onnx.Constant {value = dense<[4.0, 1.0]> : tensor<2xf32>} : tensor<2xf32>
  %0 = onnx.Conv(%x, %w, %b) {onnx.name = "c"} : (tensor<1x1x4xf32>, tensor<2x1x2xf32>, tensor<2xf32>) -> tensor<1x2x3xf32>
  %1:3 = onnx.BatchNormalization(%0, %scale, %shift, %mean, %var) {epsilon = 0.0 : f32} : (tensor<1x2x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2x3xf32>, none, none)
  return %1#0 : tensor<1x2x3xf32>
}

// CHECK-LABEL: func @bias(
// CHECK: %[[B:.*]] = onnx.Constant {{.*}}value = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>}
// CHECK: %[[Y:.*]] = onnx.Conv(%{{.*}}, %{{.*}}, %[[B]])
// CHECK-NEXT: return %[[Y]]
func.func @bias(%x: tensor<1x1x4xf32>, %w: tensor<2x1x2xf32>) -> tensor<1x2x3xf32> {
  %none = onnx.NoValue : none
  %b = onnx.Constant {value = dense<[[1.0], [2.0]]> : tensor<2x1xf32>} : tensor<2x1xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4xf32>, tensor<2x1x2xf32>, none) -> tensor<1x2x3xf32>
  %1 = onnx.Add(%0, %b) : (tensor<1x2x3xf32>, tensor<2x1xf32>) -> tensor<1x2x3xf32>
  return %1 : tensor<1x2x3xf32>
}

// A constant per pixel is not a bias.
// CHECK-LABEL: func @pixels(
// CHECK: onnx.Add
func.func @pixels(%x: tensor<1x1x4xf32>, %w: tensor<3x1x2xf32>) -> tensor<1x3x3xf32> {
  %none = onnx.NoValue : none
  %c = onnx.Constant {value = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>} : tensor<3xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4xf32>, tensor<3x1x2xf32>, none) -> tensor<1x3x3xf32>
  %1 = onnx.Add(%0, %c) : (tensor<1x3x3xf32>, tensor<3xf32>) -> tensor<1x3x3xf32>
  return %1 : tensor<1x3x3xf32>
}
