// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Branches of different sizes meet in a dynamic one.
// CHECK-LABEL: func.func @branch
// CHECK: %[[C:.*]] = tensor.extract
// CHECK: scf.if %[[C]] -> (tensor<?xf32>) {
// CHECK: math.exp
// CHECK: tensor.cast %{{.*}} : tensor<2xf32> to tensor<?xf32>
// CHECK: } else {
// CHECK: tensor.cast %{{.*}} : tensor<3xf32> to tensor<?xf32>
func.func @branch(%c: tensor<i1>, %a: tensor<2xf32>, %b: tensor<3xf32>) -> tensor<?xf32> {
  %0 = onnx.If(%c) then {
    %1 = onnx.Exp(%a) : (tensor<2xf32>) -> tensor<2xf32>
    onnx.Yield(%1) : tensor<2xf32>
  } else {
    onnx.Yield(%b) : tensor<3xf32>
  } : (tensor<i1>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// The count, the condition and what is carried go round; a scan output grows
// by one element each time.
// CHECK-LABEL: func.func @loop
// CHECK: scf.while (%[[I:.*]] = %{{.*}}, %[[GO:.*]] = %{{.*}}, %{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) : (index, i1, tensor<f32>, tensor<?xf32>)
// CHECK: %[[BELOW:.*]] = arith.cmpi slt, %[[I]]
// CHECK: arith.andi %[[GO]], %[[BELOW]]
// CHECK: scf.condition
// CHECK: arith.addf
// CHECK: tensor.insert_slice
// CHECK: scf.yield %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : index, i1, tensor<f32>, tensor<?xf32>
func.func @loop(%n: tensor<i64>, %x: tensor<f32>) -> (tensor<f32>, tensor<?xf32>) {
  %none = onnx.NoValue : none
  %0:2 = onnx.Loop(%n, %none, %x) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %acc: tensor<f32>):
    %next = onnx.Add(%acc, %x) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    onnx.Yield(%c, %next, %next) : tensor<i1>, tensor<f32>, tensor<f32>
  } : (tensor<i64>, none, tensor<f32>) -> (tensor<f32>, tensor<?xf32>)
  return %0#0, %0#1 : tensor<f32>, tensor<?xf32>
}
