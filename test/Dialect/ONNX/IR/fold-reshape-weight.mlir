// RUN: nibble-opt %s -onnx-infer-shapes | FileCheck %s

// A weight in another shape is the same data by another view: a reference stays
// a reference, with its name.

// CHECK-LABEL: func @weight(
// CHECK-NEXT: onnx.Constant {onnx.name = "w", value = dense_resource<w> : tensor<4xf32>} : tensor<4xf32>
// CHECK-NEXT: return
func.func @weight() -> tensor<*xf32> {
  %w = onnx.Constant {onnx.name = "w", value = dense_resource<w> : tensor<2x2xf32>} : tensor<2x2xf32>
  %s = onnx.Constant {value = dense<-1> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.Reshape(%w, %s) : (tensor<2x2xf32>, tensor<1xi64>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// CHECK-LABEL: func @mapped(
// CHECK-NEXT: onnx.Constant {value = #nibble.mapped<"absent.bin", 8, 16, 0x0000000000000001> : tensor<1x4xf32>}
func.func @mapped() -> tensor<*xf32> {
  %w = onnx.Constant {value = #nibble.mapped<"absent.bin", 8, 16, 0x1> : tensor<4xf32>} : tensor<4xf32>
  %axes = onnx.Constant {value = dense<0> : tensor<1xi64>} : tensor<1xi64>
  %y = onnx.Unsqueeze(%w, %axes) : (tensor<4xf32>, tensor<1xi64>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x400000000000803f000000400000404000008040"
    }
  }
#-}
