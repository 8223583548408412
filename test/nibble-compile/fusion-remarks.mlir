// RUN: nibble-compile %s -o %t.mlir --compile-to=onnx --remarks-filter=fusion 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: nibble-compile %s -o %t.mlir --compile-to=onnx 2>&1 | FileCheck %s --check-prefix=QUIET --allow-empty
// RUN: FileCheck %s < %t.mlir
// RUN: nibble-compile %s -o %t.mlir --compile-to=onnx --fuse-operators=false
// RUN: FileCheck %s --check-prefix=PLAIN < %t.mlir

// Decomposed forms become operators unless the user turns it off; what was
// missed is told who asks.

// REMARK: remark: {{.*}}Softplus not fused in layer "log": the number added to Exp is 2, not 1
// QUIET-NOT: remark
// CHECK-LABEL: func.func @main_graph(
// CHECK: onnx.Swish(
// CHECK: onnx.Log(
// PLAIN-LABEL: func.func @main_graph(
// PLAIN: onnx.Sigmoid(
// PLAIN: onnx.Log(
module attributes {onnx.opset_version = 21 : i64} {
  func.func @main_graph(%x: tensor<2x8xf32> {onnx.name = "x"}) -> (tensor<2x8xf32> {onnx.name = "y"}) {
    %two = onnx.Constant {value = dense<2.0> : tensor<f32>} : tensor<f32>
    %0 = onnx.Sigmoid(%x) : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %1 = onnx.Mul(%x, %0) : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
    %2 = onnx.Exp(%1) : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %3 = onnx.Add(%2, %two) : (tensor<2x8xf32>, tensor<f32>) -> tensor<2x8xf32>
    %4 = onnx.Log(%3) {onnx.name = "log"} : (tensor<2x8xf32>) -> tensor<2x8xf32>
    return %4 : tensor<2x8xf32>
  }
}
