// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @concat
// CHECK: %[[N:.*]] = arith.addi
// CHECK: tensor.empty(%[[N]])
// CHECK-COUNT-2: tensor.insert_slice
func.func @concat(%a: tensor<?x4xf32>, %b: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.Concat(%a, %b) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// Negative ends count from the end, large ones stop there.
// CHECK-LABEL: func.func @slice
// CHECK: tensor.extract_slice %{{.*}}[1, 2] [7, 2] [1, 1] : tensor<8x5xf32> to tensor<7x2xf32>
func.func @slice(%a: tensor<8x5xf32>) -> tensor<7x2xf32> {
  %none = onnx.NoValue : none
  %b = onnx.Constant {value = dense<[1, 2]> : tensor<2xi64>} : tensor<2xi64>
  %e = onnx.Constant {value = dense<[1000, -1]> : tensor<2xi64>} : tensor<2xi64>
  %0 = onnx.Slice(%a, %b, %e, %none, %none) : (tensor<8x5xf32>, tensor<2xi64>, tensor<2xi64>, none, none) -> tensor<7x2xf32>
  return %0 : tensor<7x2xf32>
}

// -----

// A negative step cannot be a slice of memory.
// CHECK-LABEL: func.func @reverse
// CHECK-NOT: tensor.extract_slice
// CHECK: linalg.index 0
// CHECK: tensor.extract
func.func @reverse(%a: tensor<8xf32>) -> tensor<8xf32> {
  %b = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %e = onnx.Constant {value = dense<-9> : tensor<1xi64>} : tensor<1xi64>
  %x = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
  %0 = onnx.Slice(%a, %b, %e, %x, %b) : (tensor<8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @pad
// CHECK: linalg.fill
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[1, 0] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<4x3xf32>
func.func @pad(%a: tensor<2x3xf32>) -> tensor<4x3xf32> {
  %none = onnx.NoValue : none
  %p = onnx.Constant {value = dense<[1, 0, 1, 0]> : tensor<4xi64>} : tensor<4xi64>
  %0 = onnx.Pad(%a, %p, %none, %none) : (tensor<2x3xf32>, tensor<4xi64>, none, none) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

// CHECK-LABEL: func.func @transpose
// CHECK: linalg.transpose {{.*}} permutation = [1, 0]
func.func @transpose(%a: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %0 = onnx.Transpose(%a) : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

// Axes that are known at run time only: each dimension looks for its entry.
// CHECK-LABEL: func.func @slice_axes
// CHECK: cf.assert %{{.*}}, "cut: an axis is out of range"
// CHECK: arith.select
// CHECK: linalg.generic
func.func @slice_axes(%x: tensor<4x8xf32>, %b: tensor<1xi64>, %e: tensor<1xi64>, %axes: tensor<1xi64>) -> tensor<?x?xf32> {
  %none = onnx.NoValue : none
  %0 = onnx.Slice(%x, %b, %e, %axes, %none) {onnx.name = "cut"} : (tensor<4x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
