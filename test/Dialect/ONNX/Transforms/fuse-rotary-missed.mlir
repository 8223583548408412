// RUN: nibble-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(onnx-fuse-rotary))' \
// RUN:   --remarks-filter-missed=fusion --remark-format=emitRemark

// What is nearly a rotation says what differs.

!x = tensor<2x1x3x4xf32>
!h = tensor<2x1x3x2xf32>

// Any cosines may come in: nothing tells that their halves are equal.
func.func @unknown_halves(%x: !x, %c: !x, %s: !x) -> !x {
  %none = onnx.NoValue : none
  %a, %b = onnx.Split(%x, %none) {axis = -1 : i64, num_outputs = 2 : i64} : (!x, none) -> (!h, !h)
  %n = onnx.Neg(%b) : (!h) -> !h
  %r = onnx.Concat(%n, %a) {axis = -1 : i64} : (!h, !h) -> !x
  %0 = onnx.Mul(%x, %c) : (!x, !x) -> !x
  %1 = onnx.Mul(%r, %s) : (!x, !x) -> !x
  // expected-remark@+1 {{rotary embedding not fused in layer "rope": the halves of the cosines are not known to be equal}}
  %2 = onnx.Add(%0, %1) {onnx.name = "rope"} : (!x, !x) -> !x
  return %2 : !x
}

// -----

!x = tensor<1x1x1x4xf32>
!h = tensor<1x1x1x2xf32>

func.func @unequal_halves(%x: !x) -> !x {
  %none = onnx.NoValue : none
  %c = onnx.Constant {value = dense<[[[[1.0, 2.0, 1.0, 2.5]]]]> : !x} : !x
  %a, %b = onnx.Split(%x, %none) {axis = -1 : i64, num_outputs = 2 : i64} : (!x, none) -> (!h, !h)
  %n = onnx.Neg(%b) : (!h) -> !h
  %r = onnx.Concat(%n, %a) {axis = -1 : i64} : (!h, !h) -> !x
  %0 = onnx.Mul(%x, %c) : (!x, !x) -> !x
  %1 = onnx.Mul(%r, %c) : (!x, !x) -> !x
  // expected-remark@+1 {{rotary embedding not fused: the halves of the cosines are not known to be equal}}
  %2 = onnx.Add(%0, %1) : (!x, !x) -> !x
  return %2 : !x
}

// -----

!x = tensor<1x1x1x4xf32>
!h = tensor<1x1x1x2xf32>

func.func @first_negated(%x: !x, %c: !x) -> !x {
  %none = onnx.NoValue : none
  %a, %b = onnx.Split(%x, %none) {axis = -1 : i64, num_outputs = 2 : i64} : (!x, none) -> (!h, !h)
  %n = onnx.Neg(%a) : (!h) -> !h
  %r = onnx.Concat(%b, %n) {axis = -1 : i64} : (!h, !h) -> !x
  %0 = onnx.Mul(%x, %c) : (!x, !x) -> !x
  %1 = onnx.Mul(%r, %c) : (!x, !x) -> !x
  // expected-remark@+1 {{the first elements of the pairs are negated, not the second}}
  %2 = onnx.Add(%0, %1) : (!x, !x) -> !x
  return %2 : !x
}
