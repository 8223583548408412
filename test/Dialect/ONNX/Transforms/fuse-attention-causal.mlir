// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-attention))' | FileCheck %s

// A causal mask made of primitive operators is proven to be one.

!q = tensor<2x4x5x8xf32>
!kt = tensor<2x4x8x5xf32>
!s = tensor<2x4x5x5xf32>
!m = tensor<5x5xf32>
!c = tensor<f32>

// The upper triangle of a constant: what lies above the diagonal is hidden.
// CHECK-LABEL: func @trilu(
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[N:.*]], %[[N]], %[[N]], %[[N]]) {is_causal = 1 : i64, scale
func.func @trilu(%q: !q, %kt: !kt, %v: !q) -> !q {
  %shape = onnx.Constant {value = dense<5> : tensor<2xi64>} : tensor<2xi64>
  %one = onnx.Constant {value = dense<1> : tensor<i64>} : tensor<i64>
  %all = onnx.ConstantOfShape(%shape) {value = dense<-3.40282347E+38> : tensor<1xf32>} : (tensor<2xi64>) -> !m
  %m = onnx.Trilu(%all, %one) : (!m, tensor<i64>) -> !m
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %m) : (!s, !m) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) : (!s, !q) -> !q
  return %3 : !q
}

// A table of GPT-2, of which a part is cut out, in the place of a comparison.
// CHECK-LABEL: func @table(
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[N:.*]], %[[N]], %[[N]], %[[N]]) {is_causal = 1 : i64, scale
func.func @table(%q: !q, %kt: !kt, %v: !q) -> !q {
  %min = onnx.Constant {value = dense<-1.0e10> : !c} : !c
  %from = onnx.Constant {value = dense<0> : tensor<2xi64>} : tensor<2xi64>
  %to = onnx.Constant {value = dense<5> : tensor<2xi64>} : tensor<2xi64>
  %axes = onnx.Constant {value = dense<[0, 1]> : tensor<2xi64>} : tensor<2xi64>
  %none = onnx.NoValue : none
  %t = onnx.Constant {value = dense<[[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]]> : tensor<6x6xi1>} : tensor<6x6xi1>
  %p = onnx.Slice(%t, %from, %to, %axes, %none) : (tensor<6x6xi1>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, none) -> tensor<5x5xi1>
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Where(%p, %0, %min) : (tensor<5x5xi1>, !s, !c) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) : (!s, !q) -> !q
  return %3 : !q
}

// -5 is a number like others.
// CHECK-LABEL: func @not_hidden(
// CHECK: %[[M:.*]] = onnx.Trilu
// CHECK: onnx.Attention(%{{.*}}, %{{.*}}, %{{.*}}, %[[M]], %{{.*}}) {scale
func.func @not_hidden(%q: !q, %kt: !kt, %v: !q) -> !q {
  %shape = onnx.Constant {value = dense<5> : tensor<2xi64>} : tensor<2xi64>
  %one = onnx.Constant {value = dense<1> : tensor<i64>} : tensor<i64>
  %all = onnx.ConstantOfShape(%shape) {value = dense<-5.0> : tensor<1xf32>} : (tensor<2xi64>) -> !m
  %m = onnx.Trilu(%all, %one) : (!m, tensor<i64>) -> !m
  %0 = onnx.MatMul(%q, %kt) : (!q, !kt) -> !s
  %1 = onnx.Add(%0, %m) : (!s, !m) -> !s
  %2 = onnx.Softmax(%1) : (!s) -> !s
  %3 = onnx.MatMul(%2, %v) : (!s, !q) -> !q
  return %3 : !q
}
