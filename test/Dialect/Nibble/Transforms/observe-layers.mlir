// RUN: nibble-opt %s --nibble-observe-layers | FileCheck %s

// The input of a layer, before it; a convolution says how it cuts its input.
// CHECK-LABEL: func.func @layers
// CHECK: nibble.observe %arg0 {id = 0 : i64, nibble.observed = {dilations = array<i64: 1, 1>, groups = 1 : i64, kernel = array<i64: 3, 3>, layer, operator = "Conv", pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>}, onnx.name = "conv"} : tensor<?x3x8x8xf32>
// CHECK-NEXT: nibble.conv
// CHECK: nibble.observe %arg1 {id = 1 : i64, nibble.observed = {layer, operator = "MatMul"}, onnx.name = "fc"} : tensor<?x16xf32>
// CHECK-NEXT: nibble.matmul
func.func @layers(%x: tensor<?x3x8x8xf32>, %y: tensor<?x16xf32>, %w: tensor<4x3x3x3xf32>, %v: tensor<16x2xf32>)
    -> (tensor<?x4x4x4xf32>, tensor<?x2xf32>) {
  %0 = nibble.conv %x weight(%w) {weight_shape = array<i64: 4, 3, 3, 3>, strides = array<i64: 2, 2>,
    dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, layers = ["conv", "relu"]}
    : (tensor<?x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<?x4x4x4xf32>
  %1 = nibble.matmul %y weight(%v) {n = 2 : i64, k = 16 : i64, layers = ["fc"]}
    : (tensor<?x16xf32>, tensor<16x2xf32>) -> tensor<?x2xf32>
  return %0, %1 : tensor<?x4x4x4xf32>, tensor<?x2xf32>
}

// Rows of a table are no activations. Numbers go on where others ended.
// CHECK-LABEL: func.func @table
// CHECK-NOT: nibble.observe
// CHECK: nibble.gather
// CHECK: return
func.func @table(%i: tensor<?xi64>, %t: tensor<10x4xf32>) -> tensor<?x4xf32> {
  %0 = nibble.gather %i weight(%t) {rows = 10 : i64, width = 4 : i64, layers = ["embed"]}
    : (tensor<?xi64>, tensor<10x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
