// RUN: nibble-opt %s -nibble-place-weights -split-input-file -verify-diagnostics | FileCheck %s

// A present that is no result of the function is an output all the same, at its
// place. Weights come first among the arguments and are no input.
// CHECK: nibble.model_info = {caches = [array<i32: 1, 0, 2, 1>], entry = "main_graph"
// CHECK-SAME: inputs = [{dim_names = [""], dims = array<i64: -1>, dtype = 7 : i32, name = "ids"}, {{{[^}]*}}name = "past"}]
// CHECK-SAME: outputs = [{dim_names = ["b", "", "t", ""], dims = array<i64: -1, 2, -1, 8>, dtype = 1 : i32, name = "present"}, {{.*}}name = "output1"}]
func.func @main_graph(%ids: memref<?xi64> {onnx.name = "ids"}, %past: memref<?x2x?x8xf32> {onnx.name = "past",
    nibble.kept_cache = {attrs = {onnx.name = "present", onnx.dim_names = ["b", "", "t", ""]}, axis = 2 : i64,
      cache = 0 : i64, grows = true, output = 0 : i64, type = tensor<?x2x?x8xf32>}}) -> memref<f32>
    attributes {llvm.emit_c_interface} {
  %0 = memref.alloc() : memref<f32>
  return %0 : memref<f32>
}

// -----

// expected-error @+1 {{'nibble.kept_cache' of argument 0 is malformed: {axis = 2 : i64}}}
func.func @main_graph(%past: memref<1x2x?x8xf32> {nibble.kept_cache = {axis = 2 : i64}}) attributes {llvm.emit_c_interface} {
  return
}

// -----

// expected-error @+1 {{output 0 of 1 is no result and no cache}}
func.func @main_graph(%past: memref<1x?xf32> {nibble.kept_cache = {attrs = {}, axis = 1 : i64, cache = 0 : i64, grows = true, output = 3 : i64, type = tensor<1x?xf32>}}) attributes {llvm.emit_c_interface} {
  return
}

// -----

// expected-error @+1 {{cache 0 has no argument}}
func.func @main_graph(%past: memref<1x?xf32> {nibble.kept_cache = {attrs = {}, axis = 1 : i64, cache = 1 : i64, grows = true, output = 0 : i64, type = tensor<1x?xf32>}}) attributes {llvm.emit_c_interface} {
  return
}
