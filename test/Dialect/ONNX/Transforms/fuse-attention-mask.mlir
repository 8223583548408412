// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// Masks that are no matter of positions become the operand.

!q = tensor<?x4x?x8xf32>
!kt = tensor<?x4x8x?xf32>
!s = tensor<?x4x?x?xf32>
!m = tensor<?x1x1x?xf32>
!p = tensor<?x1x1x?xi1>
!c = tensor<f32>

// Numbers are added as they are: a row in which all are -10000 has equal
// weights.
// CHECK-LABEL: func @added(
// CHECK-SAME: %[[M:[^:]*]]: tensor<?x1x1x?xf32>)
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[M]], %{{.*}})
func.func @added(%q: !q, %kt: !kt, %v: !q, %m: !m) -> !q {
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%m, %0) : (!m, !s) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) : (!s, !q) -> !q
  return %3 : !q
}

// -infinity is what truth values stand for; zeros in the place of NaN are what
// the operator gives where there is no key to see.
// CHECK-LABEL: func @guarded(
// CHECK-SAME: %[[P:[^:]*]]: tensor<?x1x1x?xi1>)
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[P]], %{{.*}})
// CHECK-NEXT: return
func.func @guarded(%q: !q, %kt: !kt, %v: !q, %p: !p) -> !q {
  %zero = onnx.Constant {value = dense<0.0> : !c} : !c
  %inf = onnx.Constant {value = dense<0xFF800000> : !c} : !c
  %m = onnx.Where(%p, %zero, %inf) : (!p, !c, !c) -> !m
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %m) : (!s, !m) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.IsNaN(%2) : (!s) -> tensor<?x4x?x?xi1>
  %4 = onnx.Where(%3, %zero, %2) : (tensor<?x4x?x?xi1>, !c, !s) -> !s
  %5 = onnx.MatMul(%4, %v) : (!s, !q) -> !q
  return %5 : !q
}

// Scores that are replaced, where truth hides.
// CHECK-LABEL: func @replaced(
// CHECK-SAME: %[[P:[^:]*]]: tensor<?x1x1x?xi1>)
// CHECK: %[[SEEN:.*]] = onnx.Not(%[[P]])
// CHECK: %[[M:.*]] = onnx.Where(%[[SEEN]], %{{.*}}, %{{.*}})
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[M]], %{{.*}})
func.func @replaced(%q: !q, %kt: !kt, %v: !q, %p: !p) -> !q {
  %min = onnx.Constant {value = dense<-3.40282347E+38> : !c} : !c
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Where(%p, %min, %0) : (!p, !c, !s) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) : (!s, !q) -> !q
  return %3 : !q
}
