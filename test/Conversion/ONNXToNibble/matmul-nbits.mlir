// Weights of com.microsoft.MatMulNBits keep their codes: no value of a weight
// is computed.
// RUN: nibble-opt %s -convert-onnx-to-nibble | FileCheck %s

// Without zero points codes are symmetric: 8 becomes 0, 15 becomes 7.
// CHECK-LABEL: func.func @symmetric
func.func @symmetric(%x: tensor<2x16xf32>) -> tensor<2x1xf32> {
  // CHECK: %[[W:.*]] = nibble.constant {onnx.name = "w.codes"} dense<{{\[\[}}0, 112, -105, 0, 0, 0, 0, 0{{\]\]}}> : tensor<1x8xi8>
  // CHECK: %[[S:.*]] = nibble.constant {onnx.name = "w.scales"} dense<5.000000e-01> : tensor<1x1xf32>
  // CHECK: nibble.matmul %arg0 weight(%[[W]], %[[S]])
  // CHECK-SAME: k = 16 : i64, layers = ["fc"], n = 1 : i64
  // CHECK-SAME: scheme = #nibble.scheme<int4, group = 16, scale = f32, packing = rows>
  %none = onnx.NoValue : none
  %w = onnx.Constant {onnx.name = "w", value = dense<[[[136, 248, 31, 136, 136, 136, 136, 136]]]> : tensor<1x1x8xui8>} : tensor<1x1x8xui8>
  %s = onnx.Constant {value = dense<0.5> : tensor<1xf32>} : tensor<1xf32>
  %y = onnx.microsoft.MatMulNBits(%x, %w, %s, %none, %none, %none) {K = 16 : i64, N = 1 : i64, block_size = 16 : i64, onnx.name = "fc"} : (tensor<2x16xf32>, tensor<1x1x8xui8>, tensor<1xf32>, none, none, none) -> tensor<2x1xf32>
  return %y : tensor<2x1xf32>
}

// Packed zero points become one byte each; codes behind K are dropped.
// CHECK-LABEL: func.func @zeros
func.func @zeros(%x: tensor<2x20xf32>) -> tensor<2x1xf32> {
  // CHECK-DAG: {onnx.name = "weight.codes"} {{.*}} : tensor<1x10xi8>
  // CHECK-DAG: {onnx.name = "weight.zeros"} dense<{{\[\[}}3, 9]]> : tensor<1x2xi8>
  // CHECK: scheme = #nibble.scheme<int4, group = 16, scale = f32, zero = integer, packing = rows>
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<17> : tensor<1x2x8xui8>} : tensor<1x2x8xui8>
  %s = onnx.Constant {value = dense<0.5> : tensor<1x2xf32>} : tensor<1x2xf32>
  %z = onnx.Constant {value = dense<147> : tensor<1xui8>} : tensor<1xui8>
  %y = onnx.microsoft.MatMulNBits(%x, %w, %s, %z, %none, %none) {K = 20 : i64, N = 1 : i64, block_size = 16 : i64} : (tensor<2x20xf32>, tensor<1x2x8xui8>, tensor<1x2xf32>, tensor<1xui8>, none, none) -> tensor<2x1xf32>
  return %y : tensor<2x1xf32>
}

// Float zero points and the group of each input stay what they are.
// CHECK-LABEL: func.func @float_zeros
func.func @float_zeros(%x: tensor<2x32xf32>) -> tensor<2x1xf32> {
  // CHECK-DAG: {onnx.name = "weight.zeros"} dense<{{\[\[}}2.500000e-01, 7.500000e+00]]> : tensor<1x2xf32>
  // CHECK-DAG: {onnx.name = "weight.group_index"} dense<{{.*}}> : tensor<32xi32>
  // CHECK: nibble.matmul %arg0 weight({{.*}} zeros %{{[0-9]+}} group_index %{{[0-9]+}})
  // CHECK-SAME: scheme = #nibble.scheme<int4, group = 16, scale = f32, zero = float, group_index, packing = rows>
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<17> : tensor<1x2x8xui8>} : tensor<1x2x8xui8>
  %s = onnx.Constant {value = dense<0.5> : tensor<1x2xf32>} : tensor<1x2xf32>
  %z = onnx.Constant {value = dense<[[0.25, 7.5]]> : tensor<1x2xf32>} : tensor<1x2xf32>
  %g = onnx.Constant {value = dense<[1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]> : tensor<32xi32>} : tensor<32xi32>
  %y = onnx.microsoft.MatMulNBits(%x, %w, %s, %z, %g, %none) {K = 32 : i64, N = 1 : i64, block_size = 16 : i64} : (tensor<2x32xf32>, tensor<1x2x8xui8>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<32xi32>, none) -> tensor<2x1xf32>
  return %y : tensor<2x1xf32>
}
