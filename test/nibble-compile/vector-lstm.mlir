// RUN: nibble-compile %s --march=x86-64-v4 --compile-to=vector -o %t.mlir
// RUN: FileCheck %s --input-file=%t.mlir

// The steps of an LSTM: products and gates in vectors; no element of a state is
// stored alone.
// CHECK-LABEL: func.func @main_graph
// CHECK: scf.for
// CHECK: arith.divf {{.*}} : vector<16xf32>
// CHECK-NOT: memref.store {{.*}}xf32
func.func @main_graph(%x: tensor<7x1x32xf32> {onnx.name = "x"}) -> (tensor<1x1x64xf32> {onnx.name = "h"}) {
  %none = onnx.NoValue : none
  %w = onnx.Constant {value = dense<0.5> : tensor<1x256x32xf32>} : tensor<1x256x32xf32>
  %r = onnx.Constant {value = dense<0.25> : tensor<1x256x64xf32>} : tensor<1x256x64xf32>
  %y, %h, %c = onnx.LSTM(%x, %w, %r, %none, %none, %none, %none, %none) {hidden_size = 64 : i64, onnx.name = "rnn"} : (tensor<7x1x32xf32>, tensor<1x256x32xf32>, tensor<1x256x64xf32>, none, none, none, none, none) -> (none, tensor<1x1x64xf32>, none)
  return %h : tensor<1x1x64xf32>
}
