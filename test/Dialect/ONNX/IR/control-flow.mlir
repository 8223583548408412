// RUN: nibble-opt %s | nibble-opt | FileCheck %s
// RUN: nibble-opt %s --emit-bytecode | nibble-opt | FileCheck %s

// Subgraphs print as regions.

// CHECK-LABEL: func @if
// CHECK: onnx.If(%{{.*}}) then {
// CHECK-NEXT: onnx.Yield(%{{.*}}) : tensor<2xf32>
// CHECK-NEXT: } else {
// CHECK: } : (tensor<i1>) -> tensor<2xf32>
func.func @if(%c: tensor<i1>, %a: tensor<2xf32>, %b: tensor<2xf32>) -> tensor<2xf32> {
  %y = onnx.If(%c) then {
    onnx.Yield(%a) : tensor<2xf32>
  } else {
    onnx.Yield(%b) : tensor<2xf32>
  } : (tensor<i1>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// CHECK-LABEL: func @loop
// CHECK: onnx.Loop(%{{.*}}, %{{.*}}, %{{.*}}) {
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i64>, %[[COND:.*]]: tensor<i1>, %{{.*}}: tensor<f32>):
// CHECK: onnx.Yield(%[[COND]], %{{.*}}) : tensor<i1>, tensor<f32>
func.func @loop(%n: tensor<i64>, %zero: tensor<f32>, %step: tensor<f32>) -> tensor<f32> {
  %none = onnx.NoValue : none
  %sum = onnx.Loop(%n, %none, %zero) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %acc: tensor<f32>):
    %next = onnx.Add(%acc, %step) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    onnx.Yield(%c, %next) : tensor<i1>, tensor<f32>
  } : (tensor<i64>, none, tensor<f32>) -> tensor<f32>
  return %sum : tensor<f32>
}

// CHECK-LABEL: func @scan
// CHECK: %{{.*}}:2 = onnx.Scan(%{{.*}}, %{{.*}}) {
// CHECK: } {num_scan_inputs = 1 : i64} : (tensor<2xf32>, tensor<5x2xf32>) -> (tensor<2xf32>, tensor<5x2xf32>)
func.func @scan(%init: tensor<2xf32>, %x: tensor<5x2xf32>) -> tensor<5x2xf32> {
  %last, %all = onnx.Scan(%init, %x) {
  ^bb0(%acc: tensor<2xf32>, %s: tensor<2xf32>):
    %next = onnx.Add(%acc, %s) : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    onnx.Yield(%next, %next) : tensor<2xf32>, tensor<2xf32>
  } {num_scan_inputs = 1 : i64} : (tensor<2xf32>, tensor<5x2xf32>) -> (tensor<2xf32>, tensor<5x2xf32>)
  return %all : tensor<5x2xf32>
}
