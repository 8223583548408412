// RUN: nibble-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(onnx-fuse-activation))' \
// RUN:   --remarks-filter-missed=fusion --remark-format=emitRemark

// What is nearly an activation says what differs.

!t = tensor<?x8xf32>
!s = tensor<f32>

func.func @argument(%x: !t) -> !t {
  %c = onnx.Constant {value = dense<2.0> : !s} : !s
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %half = onnx.Constant {value = dense<0.5> : !s} : !s
  %0 = onnx.Div(%x, %c) : (!t, !s) -> !t
  // expected-remark@+1 {{Gelu not fused in layer "erf": the argument of Erf is the input times 0.5, not 1/sqrt(2)}}
  %1 = onnx.Erf(%0) {onnx.name = "erf"} : (!t) -> !t
  %2 = onnx.Add(%1, %one) : (!t, !s) -> !t
  %3 = onnx.Mul(%x, %2) : (!t, !t) -> !t
  %4 = onnx.Mul(%3, %half) : (!t, !s) -> !t
  return %4 : !t
}

// -----

!t = tensor<?x8xf32>
!s = tensor<f32>

func.func @used_inside(%x: !t) -> (!t, !t) {
  %root = onnx.Constant {value = dense<1.41421354> : !s} : !s
  %one = onnx.Constant {value = dense<1.0> : !s} : !s
  %half = onnx.Constant {value = dense<0.5> : !s} : !s
  %0 = onnx.Div(%x, %root) : (!t, !s) -> !t
  // expected-remark@+1 {{Gelu not fused: a value inside of the form has other uses}}
  %1 = onnx.Erf(%0) : (!t) -> !t
  %2 = onnx.Add(%1, %one) : (!t, !s) -> !t
  %3 = onnx.Mul(%x, %2) : (!t, !t) -> !t
  %4 = onnx.Mul(%3, %half) : (!t, !s) -> !t
  return %3, %4 : !t, !t
}

// -----

func.func @hard(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-remark@+1 {{HardSwish not fused: HardSigmoid has alpha 0.2 and beta 0.5, not 1/6 and 1/2}}
  %0 = onnx.HardSigmoid(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = onnx.Mul(%x, %0) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}
