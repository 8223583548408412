// RUN: not nibble-opt %s --convert-onnx-to-linalg 2>&1 | FileCheck %s

// All operators that cannot be lowered are in one message.
// CHECK: error: 2 operators cannot be compiled:
// CHECK-NEXT: TopK 'best': k = 4 is above the size 3
// CHECK-NEXT: ImageDecoder 'photo': a compiled model decodes no image files; decode them before and give the pixels as an input
// CHECK-NOT: error:
func.func @main(%x: tensor<2x3xf32>, %file: tensor<?xui8>) -> tensor<2x4xf32> {
  %k = onnx.Constant {value = dense<4> : tensor<1xi64>} : tensor<1xi64>
  %0:2 = onnx.TopK(%x, %k) {onnx.name = "best"} : (tensor<2x3xf32>, tensor<1xi64>) -> (tensor<2x4xf32>, tensor<2x4xi64>)
  %1 = onnx.ImageDecoder(%file) {onnx.name = "photo"} : (tensor<?xui8>) -> tensor<?x?x3xui8>
  return %0#0 : tensor<2x4xf32>
}
