// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s
// RUN: nibble-opt %s -canonicalize | FileCheck %s --check-prefix=VALUE

// The short forms of a constant, which canonicalization turns into a value.

// CHECK-LABEL: func @floats
// CHECK: onnx.Constant {value_floats = array<f32: 1.000000e+00, 2.000000e+00>} : tensor<2xf32>
// VALUE-LABEL: func @floats
// VALUE: onnx.Constant {value = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>} : tensor<2xf32>
func.func @floats() -> tensor<2xf32> {
  %0 = onnx.Constant {value_floats = array<f32: 1.0, 2.0>} : tensor<2xf32>
  return %0 : tensor<2xf32>
}

// CHECK-LABEL: func @integer
// CHECK: onnx.Constant {value_int = 7 : i64} : tensor<i64>
// VALUE-LABEL: func @integer
// VALUE: onnx.Constant {value = dense<7> : tensor<i64>} : tensor<i64>
func.func @integer() -> tensor<i64> {
  %0 = onnx.Constant {value_int = 7 : i64} : tensor<i64>
  return %0 : tensor<i64>
}

// CHECK-LABEL: func @strings
// CHECK: onnx.Constant {value_strings = ["a", "b"]} : tensor<2x!onnx.string>
// VALUE-LABEL: func @strings
// VALUE: onnx.Constant {value = dense<["a", "b"]> : tensor<2x!onnx.string>} : tensor<2x!onnx.string>
func.func @strings() -> tensor<2x!onnx.string> {
  %0 = onnx.Constant {value_strings = ["a", "b"]} : tensor<2x!onnx.string>
  return %0 : tensor<2x!onnx.string>
}
