// RUN: nibble-opt %s --nibble-place-weights | FileCheck %s

// Weights that kernels read come first; one that both sides read is among them.

// CHECK: nibble.device_weight_bytes = 80 : i64
// CHECK-SAME: nibble.weights = [{offset = 0 : i64, value = dense<2.000000e+00> : tensor<8xf32>}
// CHECK-SAME: {offset = 64 : i64, value = dense<3.000000e+00> : tensor<4xf32>}
// CHECK-SAME: {offset = 128 : i64, value = dense<1.000000e+00> : tensor<4xf32>}]

// CHECK-LABEL: func.func @main_graph(
func.func @main_graph(%x: memref<4xf32>) attributes {llvm.emit_c_interface} {
  // CHECK: memref.view %arg0[%c128][] : memref<?xi8> to memref<4xf32>
  %host = nibble.weight dense<1.0> : tensor<4xf32> -> memref<4xf32>
  // CHECK: memref.view %arg0[%c0][] : memref<?xi8> to memref<8xf32>
  %first = nibble.weight dense<2.0> : tensor<8xf32> -> memref<8xf32>
  // CHECK: memref.view %arg0[%c64{{.*}}][] : memref<?xi8> to memref<4xf32>
  %device = nibble.weight {nibble.on_device} dense<3.0> : tensor<4xf32> -> memref<4xf32>
  %again = nibble.weight {nibble.on_device} dense<2.0> : tensor<8xf32> -> memref<8xf32>
  memref.copy %host, %x : memref<4xf32> to memref<4xf32>
  memref.copy %device, %x : memref<4xf32> to memref<4xf32>
  memref.copy %again, %first : memref<8xf32> to memref<8xf32>
  return
}
