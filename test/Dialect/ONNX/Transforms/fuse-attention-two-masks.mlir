// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// Two conditions that put the same finite number in the place of scores are one
// condition: the sum of two masks would be infinite where both hide.

!q = tensor<?x4x?x8xf32>
!kt = tensor<?x4x8x?xf32>
!s = tensor<?x4x?x?xf32>
!m = tensor<?x1x1x?xf32>
!p = tensor<?x1x1x?xi1>
!c = tensor<f32>

// CHECK-LABEL: func.func @same(
// CHECK-SAME: %[[A:[^:]*]]: tensor<?x1x1x?xi1>, %[[B:[^:]*]]: tensor<?x1x1x?xi1>)
// CHECK: %[[BOTH:.*]] = onnx.And(%[[B]], %[[A]])
// CHECK: %[[M:.*]] = onnx.Where(%[[BOTH]], %{{.*}}, %{{.*}})
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[M]], %{{.*}})
func.func @same(%q: !q, %kt: !kt, %v: !q, %a: !p, %b: !p) -> !q {
  %low = onnx.Constant {value = dense<-3.40282347E+38> : !c} : !c
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Where(%a, %0, %low) : (!p, !s, !c) -> !s
  %2 = onnx.Where(%b, %1, %low) : (!p, !s, !c) -> !s
  %3 = onnx.Softmax(%2) : (!s) -> !s
  %4 = onnx.MatMul(%3, %v) : (!s, !q) -> !q
  return %4 : !q
}

// A number in the place of scores that another mask has changed makes the
// weights of a hidden row equal, which no mask does.
// CHECK-LABEL: func.func @changed(
// CHECK-NOT: onnx.Attention
// CHECK: onnx.Softmax
func.func @changed(%q: !q, %kt: !kt, %v: !q, %m: !m, %b: !p) -> !q {
  %low = onnx.Constant {value = dense<-3.40282347E+38> : !c} : !c
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %m) : (!s, !m) -> !s
  %2 = onnx.Where(%b, %1, %low) : (!p, !s, !c) -> !s
  %3 = onnx.Softmax(%2) : (!s) -> !s
  %4 = onnx.MatMul(%3, %v) : (!s, !q) -> !q
  return %4 : !q
}
