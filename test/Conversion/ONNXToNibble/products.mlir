// RUN: nibble-opt %s --convert-onnx-to-nibble | FileCheck %s

// CHECK-LABEL: func.func @matmul(
func.func @matmul(%x: tensor<?x7x4xf32>) -> tensor<?x7x2xf32> {
  // CHECK: %[[W:.+]] = nibble.constant {onnx.name = "w"} dense<5.000000e-01> : tensor<4x2xf32>
  // CHECK: nibble.matmul %{{.+}} weight(%[[W]]) {k = 4 : i64, layers = ["fc"], n = 2 : i64}
  %w = onnx.Constant {value = dense<0.5> : tensor<4x2xf32>, onnx.name = "w"} : tensor<4x2xf32>
  %y = onnx.MatMul(%x, %w) {onnx.name = "fc"} : (tensor<?x7x4xf32>, tensor<4x2xf32>) -> tensor<?x7x2xf32>
  return %y : tensor<?x7x2xf32>
}

// A transpose of the weight is a flag, not a copy.
// CHECK-LABEL: func.func @transposed(
func.func @transposed(%x: tensor<?x4xf32>) -> tensor<?x2xf32> {
  // CHECK-NOT: onnx.Transpose
  // CHECK: nibble.matmul %{{.+}} weight(%{{.+}}) {{.*}}transpose_weight{{.*}} : (tensor<?x4xf32>, tensor<2x4xf32>)
  %w = onnx.Constant {value = dense<0.5> : tensor<2x4xf32>} : tensor<2x4xf32>
  %t = onnx.Transpose(%w) {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul(%x, %t) : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// alpha scales the weight, beta the bias, which one value fills; A is
// transposed by an operation of its own.
// CHECK-LABEL: func.func @gemm(
func.func @gemm(%x: tensor<4x?xf32>) -> tensor<?x2xf32> {
  // CHECK-DAG: %[[W:.+]] = nibble.constant dense<{{.*}}1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00{{.*}}> : tensor<2x4xf32>
  // CHECK-DAG: %[[B:.+]] = nibble.constant dense<{{.*}}6.000000e+00{{.*}}> : tensor<2xf32>
  // CHECK-DAG: %[[X:.+]] = onnx.Transpose
  // CHECK: nibble.matmul %[[X]] weight(%[[W]]) bias(%[[B]]) {{.*}}onnx.op_type = "Gemm"
  %w = onnx.Constant {value = dense<[[0.5, 1.0, 1.5, 2.0], [0.5, 1.0, 1.5, 2.0]]> : tensor<2x4xf32>} : tensor<2x4xf32>
  %c = onnx.Constant {value = dense<2.0> : tensor<1xf32>} : tensor<1xf32>
  %y = onnx.Gemm(%x, %w, %c) {transA = 1 : i64, transB = 1 : i64, alpha = 2.0 : f32, beta = 3.0 : f32}
    : (tensor<4x?xf32>, tensor<2x4xf32>, tensor<1xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// A constant left factor and a batch of weights are not rows of a weight.
// CHECK-LABEL: func.func @stays(
func.func @stays(%x: tensor<4x2xf32>, %b: tensor<3x2x4xf32>) -> (tensor<4x2xf32>, tensor<3x2x2xf32>) {
  // CHECK: onnx.MatMul
  // CHECK: onnx.MatMul
  %l = onnx.Constant {value = dense<0.5> : tensor<4x4xf32>} : tensor<4x4xf32>
  %w = onnx.Constant {value = dense<0.5> : tensor<3x4x2xf32>} : tensor<3x4x2xf32>
  %y = onnx.MatMul(%l, %x) : (tensor<4x4xf32>, tensor<4x2xf32>) -> tensor<4x2xf32>
  %z = onnx.MatMul(%b, %w) : (tensor<3x2x4xf32>, tensor<3x4x2xf32>) -> tensor<3x2x2xf32>
  return %y, %z : tensor<4x2xf32>, tensor<3x2x2xf32>
}
