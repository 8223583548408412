// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file --verify-diagnostics | FileCheck %s

// Computed indices are checked before anything is read; negative ones wrap.
// CHECK-LABEL: func.func @gather
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction"]
// CHECK: cf.assert %{{.*}}, "rows: an index is out of bounds"
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK: tensor.extract
// CHECK: arith.cmpi slt
// CHECK: arith.select
// CHECK: tensor.extract
func.func @gather(%t: tensor<9x4xf32>, %i: tensor<?xi64>) -> tensor<?x4xf32> {
  %0 = onnx.Gather(%t, %i) {axis = 0 : i64, onnx.name = "rows"} : (tensor<9x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// One constant index is a slice.
// CHECK-LABEL: func.func @select
// CHECK-NOT: cf.assert
// CHECK: tensor.extract_slice %{{.*}}[8, 0] [1, 4]
func.func @select(%t: tensor<9x4xf32>) -> tensor<4xf32> {
  %i = onnx.Constant {value = dense<-1> : tensor<i64>} : tensor<i64>
  %0 = onnx.Gather(%t, %i) {axis = 0 : i64} : (tensor<9x4xf32>, tensor<i64>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @outside(%t: tensor<9x4xf32>) -> tensor<1x4xf32> {
  %i = onnx.Constant {value = dense<9> : tensor<1xi64>} : tensor<1xi64>
  // expected-error @+1 {{Gather 'pick': index 9 is out of bounds for size 9}}
  %0 = onnx.Gather(%t, %i) {axis = 0 : i64, onnx.name = "pick"} : (tensor<9x4xf32>, tensor<1xi64>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}
