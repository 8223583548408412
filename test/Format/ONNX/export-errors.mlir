// RUN: nibble-translate --export-onnx --split-input-file --verify-diagnostics %s -o /dev/null

// Older operator sets have other forms of some operators.
// expected-error @below {{only operator set 28 can be exported, got 13; run onnx-normalize-opset before}}
module attributes {onnx.opset_version = 13 : i64} {
  func.func @main_graph(%x: tensor<f32>) -> tensor<f32> {
    return %x : tensor<f32>
  }
}

// -----

func.func @main_graph(%x: tensor<f32>) -> tensor<f32> {
  // expected-error @below {{'nibble.constant' is not an operation of the onnx dialect}}
  %0 = "nibble.constant"() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

// expected-error @below {{ONNX has no type for 'tensor<3xi3>'; run onnx-infer-shapes before}}
func.func @main_graph(%x: tensor<3xi3>) -> tensor<3xi3> {
  return %x : tensor<3xi3>
}

// -----

// expected-error @below {{expected one function to export, got 2}}
module {
  func.func private @a()
  func.func private @b()
}
