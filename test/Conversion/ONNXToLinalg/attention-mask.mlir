// RUN: nibble-opt %s --convert-onnx-to-linalg --canonicalize --split-input-file | FileCheck %s

// A mask is used as it is.
// CHECK-LABEL: func.func @two_dimensions
// CHECK-SAME: %[[M:[^:]*]]: tensor<3x3xi1>
// CHECK: %[[MASK:.*]] = tensor.expand_shape %[[M]] {{\[\[}}0, 1, 2], [3]] {{.*}} into tensor<1x1x3x3xi1>
// CHECK: nibble.attention {{.*}} mask(%[[MASK]])
func.func @two_dimensions(%q: tensor<1x2x3x8xf32>, %m: tensor<3x3xi1>) -> tensor<1x2x3x8xf32> {
  %none = onnx.NoValue : none
  %y:4 = onnx.Attention(%q, %q, %q, %m, %none, %none, %none) : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>, tensor<3x3xi1>, none, none, none) -> (tensor<1x2x3x8xf32>, none, none, none)
  return %y#0 : tensor<1x2x3x8xf32>
}

// -----

// A mask that is shorter than the keys is not filled up; longer is an error.
// CHECK-LABEL: func.func @shorter
// CHECK-NOT: tensor.pad
// CHECK: cf.assert %{{.*}}, "onnx.Attention: the mask is longer than the keys"
// CHECK: nibble.attention {{.*}} mask(%{{.*}}) {
// CHECK-SAME: tensor<1x1x1x?xf32>
func.func @shorter(%q: tensor<1x2x?x8xf32>, %m: tensor<1x1x1x?xf32>) -> tensor<1x2x?x8xf32> {
  %none = onnx.NoValue : none
  %y:4 = onnx.Attention(%q, %q, %q, %m, %none, %none, %none) : (tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>, tensor<1x1x1x?xf32>, none, none, none) -> (tensor<1x2x?x8xf32>, none, none, none)
  return %y#0 : tensor<1x2x?x8xf32>
}

// -----

// A padding mask that the model expands to the size of the scores stays small.
// CHECK-LABEL: func.func @expanded
// CHECK-SAME: %[[M:[^:]*]]: tensor<2x1x1x7xi1>
// CHECK-NOT: linalg.generic
// CHECK: nibble.attention {{.*}} mask(%[[M]])
func.func @expanded(%q: tensor<2x4x7x8xf32>, %m: tensor<2x1x1x7xi1>) -> tensor<2x4x7x8xf32> {
  %none = onnx.NoValue : none
  %shape = onnx.Constant {value = dense<[2, 4, 7, 7]> : tensor<4xi64>} : tensor<4xi64>
  %big = onnx.Expand(%m, %shape) : (tensor<2x1x1x7xi1>, tensor<4xi64>) -> tensor<2x4x7x7xi1>
  %y:4 = onnx.Attention(%q, %q, %q, %big, %none, %none, %none) : (tensor<2x4x7x8xf32>, tensor<2x4x7x8xf32>, tensor<2x4x7x8xf32>, tensor<2x4x7x7xi1>, none, none, none) -> (tensor<2x4x7x8xf32>, none, none, none)
  return %y#0 : tensor<2x4x7x8xf32>
}
