// RUN: not nibble-opt %s --convert-onnx-to-linalg 2>&1 | FileCheck %s

// All operators that cannot be lowered are in one message.
// CHECK: error: 2 operators cannot be compiled:
// CHECK-NEXT: ReduceSum 'total': axes must be constant
// CHECK-NEXT: ImageDecoder 'photo': a compiled model decodes no image files; decode them before and give the pixels as an input
// CHECK-NOT: error:
func.func @main(%x: tensor<2x3xf32>, %axes: tensor<?xi64>, %file: tensor<?xui8>) -> tensor<?x?xf32> {
  %0 = onnx.ReduceSum(%x, %axes) {onnx.name = "total"} : (tensor<2x3xf32>, tensor<?xi64>) -> tensor<?x?xf32>
  %1 = onnx.ImageDecoder(%file) {onnx.name = "photo"} : (tensor<?xui8>) -> tensor<?x?x3xui8>
  return %0 : tensor<?x?xf32>
}
