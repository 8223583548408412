// RUN: nibble-opt %s -pass-pipeline='builtin.module(func.func(onnx-fuse-activation))' | FileCheck %s

// HardSwish around HardSigmoid, and by Clip.

!t = tensor<?x8xf32>
!s = tensor<f32>

// CHECK-LABEL: func @sigmoid(
// CHECK-NEXT: %[[Y:.*]] = onnx.HardSwish(%{{.*}}) : (tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @sigmoid(%x: !t) -> !t {
  %0 = onnx.HardSigmoid(%x) {alpha = 0.166666672 : f32} : (!t) -> !t
  %1 = onnx.Mul(%x, %0) : (!t, !t) -> !t
  return %1 : !t
}

// x * clip(x + 3, 0, 6) / 6
// CHECK-LABEL: func @clip(
// CHECK-NEXT: onnx.HardSwish
// CHECK-NEXT: return
func.func @clip(%x: !t) -> !t {
  %three = onnx.Constant {value = dense<3.0> : !s} : !s
  %zero = onnx.Constant {value = dense<0.0> : !s} : !s
  %six = onnx.Constant {value = dense<6.0> : !s} : !s
  %0 = onnx.Add(%x, %three) : (!t, !s) -> !t
  %1 = onnx.Clip(%0, %zero, %six) : (!t, !s, !s) -> !t
  %2 = onnx.Mul(%x, %1) : (!t, !t) -> !t
  %3 = onnx.Div(%2, %six) : (!t, !s) -> !t
  return %3 : !t
}

// x * (clip(x + 3, 0, 6) / 6)
// CHECK-LABEL: func @scaled_first(
// CHECK-NEXT: onnx.HardSwish
// CHECK-NEXT: return
func.func @scaled_first(%x: !t) -> !t {
  %three = onnx.Constant {value = dense<3.0> : !s} : !s
  %zero = onnx.Constant {value = dense<0.0> : !s} : !s
  %six = onnx.Constant {value = dense<6.0> : !s} : !s
  %sixth = onnx.Constant {value = dense<0.166666672> : !s} : !s
  %0 = onnx.Add(%three, %x) : (!s, !t) -> !t
  %1 = onnx.Clip(%0, %zero, %six) : (!t, !s, !s) -> !t
  %2 = onnx.Mul(%1, %sixth) : (!t, !s) -> !t
  %3 = onnx.Mul(%2, %x) : (!t, !t) -> !t
  return %3 : !t
}

// A division of integers drops what is left.
// CHECK-LABEL: func @integers(
// CHECK-NOT: onnx.HardSwish
// CHECK: onnx.Div
func.func @integers(%x: tensor<4xi32>) -> tensor<4xi32> {
  %zero = onnx.Constant {value = dense<0> : tensor<i32>} : tensor<i32>
  %three = onnx.Constant {value = dense<3> : tensor<i32>} : tensor<i32>
  %six = onnx.Constant {value = dense<6> : tensor<i32>} : tensor<i32>
  %1 = onnx.Add(%x, %three) : (tensor<4xi32>, tensor<i32>) -> tensor<4xi32>
  %2 = onnx.Clip(%1, %zero, %six) : (tensor<4xi32>, tensor<i32>, tensor<i32>) -> tensor<4xi32>
  %3 = onnx.Mul(%x, %2) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %4 = onnx.Div(%3, %six) : (tensor<4xi32>, tensor<i32>) -> tensor<4xi32>
  return %4 : tensor<4xi32>
}
