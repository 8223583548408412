// RUN: nibble-opt %s --nibble-place-weights | FileCheck %s

// Offsets are multiples of 64, equal attributes share a place, and the layout
// and the model's interface stay in the module.

// CHECK:      module attributes {
// CHECK-SAME:   nibble.model_info = {caches = [], entry = "main_graph"
// CHECK-SAME:     dim_names = ["n"], dims = array<i64: -1>, dtype = 1 : i32, name = "x"
// CHECK-SAME:     name = "flags"
// CHECK-SAME:   nibble.weights = [{offset = 0 : i64, value = dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]> : tensor<3xf32>},
// CHECK-SAME:     {offset = 64 : i64, value = dense<5> : tensor<100xi8>},
// CHECK-SAME:     {offset = 192 : i64, value = dense<true> : tensor<2xi1>}]

// CHECK-LABEL: func.func @main_graph(
// CHECK-SAME:    %[[BLOCK:.*]]: memref<?xi8> {nibble.weights}, %{{.*}}: memref<?xf32> {onnx.dim_names = ["n"], onnx.name = "x"}
func.func @main_graph(%x: memref<?xf32> {onnx.name = "x", onnx.dim_names = ["n"]})
    -> (memref<3xf32>, memref<100xi8>, memref<2xi1> {onnx.name = "flags"}, memref<3xf32>)
    attributes {llvm.emit_c_interface} {
  // CHECK: %[[C0:.*]] = arith.constant 0 : index
  // CHECK: %[[A:.*]] = memref.view %[[BLOCK]][%[[C0]]][] : memref<?xi8> to memref<3xf32>
  %a = nibble.weight dense<[1.0, 2.0, 3.0]> : tensor<3xf32> -> memref<3xf32>
  // CHECK: %[[C64:.*]] = arith.constant 64 : index
  // CHECK: %[[B:.*]] = memref.view %[[BLOCK]][%[[C64]]][] : memref<?xi8> to memref<100xi8>
  %b = nibble.weight dense<5> : tensor<100xi8> -> memref<100xi8>
  // CHECK: memref.view %[[BLOCK]][%{{.*}}][] : memref<?xi8> to memref<2xi1>
  %c = nibble.weight dense<true> : tensor<2xi1> -> memref<2xi1>
  // CHECK: memref.view %[[BLOCK]][%{{.*}}][] : memref<?xi8> to memref<3xf32>
  %d = nibble.weight dense<[1.0, 2.0, 3.0]> : tensor<3xf32> -> memref<3xf32>
  // CHECK-NOT: nibble.weight dense
  return %a, %b, %c, %d : memref<3xf32>, memref<100xi8>, memref<2xi1>, memref<3xf32>
}
