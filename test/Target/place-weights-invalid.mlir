// RUN: nibble-opt %s --nibble-place-weights --split-input-file --verify-diagnostics

func.func @main_graph() -> memref<4xf32> attributes {llvm.emit_c_interface} {
  // expected-error @below {{expected a value with the bytes of 'memref<4xf32>', got 'tensor<3xf32>'}}
  %w = nibble.weight dense<1.0> : tensor<3xf32> -> memref<4xf32>
  return %w : memref<4xf32>
}

// -----

// expected-error @below {{expected an entry function with llvm.emit_c_interface and a body}}
module {
  func.func @main_graph() {
    return
  }
}

// -----

func.func @main_graph() attributes {llvm.emit_c_interface} {
  return
}
// expected-error @below {{a second function with llvm.emit_c_interface; expected one entry}}
func.func @other() attributes {llvm.emit_c_interface} {
  return
}

// -----

func.func @main_graph() attributes {llvm.emit_c_interface} {
  return
}
func.func private @kernel() {
  // expected-error @below {{expected in the entry function 'main_graph' only}}
  %w = nibble.weight dense<1.0> : tensor<3xf32> -> memref<3xf32>
  return
}

// -----

// expected-error @below {{'x' has elements of type 'i5', which no input or output of a binary can have}}
func.func @main_graph(%x: memref<4xi5> {onnx.name = "x"}) attributes {llvm.emit_c_interface} {
  return
}
