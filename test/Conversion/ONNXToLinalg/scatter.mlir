// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Written one after the other, as indices may repeat.
// CHECK-LABEL: func.func @elements
// CHECK: cf.assert %{{.*}}, "s: an index is out of bounds"
// CHECK: scf.for
// CHECK: scf.for
// CHECK: %[[OLD:.*]] = tensor.extract %{{.*}} : tensor<4x5xf32>
// CHECK: arith.addf %[[OLD]]
// CHECK: tensor.insert
func.func @elements(%x: tensor<4x5xf32>, %i: tensor<2x5xi64>, %u: tensor<2x5xf32>) -> tensor<4x5xf32> {
  %0 = onnx.ScatterElements(%x, %i, %u) {reduction = "add", onnx.name = "s"} : (tensor<4x5xf32>, tensor<2x5xi64>, tensor<2x5xf32>) -> tensor<4x5xf32>
  return %0 : tensor<4x5xf32>
}

// -----

// CHECK-LABEL: func.func @topk
// CHECK: scf.for
// CHECK: scf.for
// CHECK: scf.for {{.*}} iter_args
// CHECK: return %{{.*}}, %{{.*}} : tensor<3x2xf32>, tensor<3x2xi64>
func.func @topk(%x: tensor<3x9xf32>) -> (tensor<3x2xf32>, tensor<3x2xi64>) {
  %k = onnx.Constant {value = dense<2> : tensor<1xi64>} : tensor<1xi64>
  %0:2 = onnx.TopK(%x, %k) : (tensor<3x9xf32>, tensor<1xi64>) -> (tensor<3x2xf32>, tensor<3x2xi64>)
  return %0#0, %0#1 : tensor<3x2xf32>, tensor<3x2xi64>
}
