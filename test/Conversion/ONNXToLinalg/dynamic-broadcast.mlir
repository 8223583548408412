// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Sizes that may differ are checked, once.
// CHECK-LABEL: func.func @checked
// CHECK: %[[DA:.*]] = tensor.dim %[[A:.*]], %{{.*}} : tensor<?xf32>
// CHECK: %[[SAME:.*]] = arith.cmpi eq
// CHECK: cf.assert %[[SAME]], "sum: dimension -1 of the inputs differs and cannot be broadcast"
// CHECK-NOT: cf.assert
func.func @checked(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
  %0 = onnx.Add(%a, %b) {onnx.name = "sum"} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %1 = onnx.Mul(%0, %b) {onnx.name = "product"} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %1 : tensor<?xf32>
}

// -----

// Nothing is checked between values whose sizes come from the same place.
// CHECK-LABEL: func.func @same
// CHECK-NOT: cf.assert
func.func @same(%a: tensor<?xf32>) -> tensor<?xf32> {
  %0 = onnx.Exp(%a) : (tensor<?xf32>) -> tensor<?xf32>
  %1 = onnx.Add(%0, %a) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %1 : tensor<?xf32>
}

// -----

// Arguments that name a dimension alike are checked where they come in.
// CHECK-LABEL: func.func @named
// CHECK: cf.assert %{{.*}}, "dimension 'batch' has different sizes in the inputs"
// CHECK: linalg.generic
// CHECK-NOT: cf.assert
func.func @named(%a: tensor<?xf32> {onnx.dim_names = ["batch"]},
                 %b: tensor<?xf32> {onnx.dim_names = ["batch"]}) -> tensor<?xf32> {
  %0 = onnx.Add(%a, %b) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// A static size above 1 decides.
// CHECK-LABEL: func.func @static_wins
// CHECK: cf.assert
// CHECK: tensor.empty() : tensor<4xf32>
func.func @static_wins(%a: tensor<?xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
  %0 = onnx.Add(%a, %b) : (tensor<?xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
