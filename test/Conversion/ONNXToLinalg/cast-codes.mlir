// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Elements of at most 8 bits that LLVM has no arithmetic for are bytes; a float
// is rounded with integer instructions and saturates.
// CHECK-LABEL: func.func @to_float8
// CHECK-SAME: -> (tensor<4xi8> {onnx.elem_type = 17 : i64})
// CHECK: %[[LARGEST:.*]] = arith.constant 126 : i32
// CHECK: arith.minsi %{{.*}}, %[[LARGEST]] : i32
// CHECK: arith.trunci %{{.*}} : i32 to i8
func.func @to_float8(%a: tensor<4xf32>) -> tensor<4xf8E4M3FN> {
  %0 = onnx.Cast(%a) {to = 17 : i64} : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
  return %0 : tensor<4xf8E4M3FN>
}

// -----

// Without saturation, what is too large becomes infinity.
// CHECK-LABEL: func.func @to_infinity
// CHECK: %[[LARGEST:.*]] = arith.constant 123 : i32
// CHECK: %[[OVER:.*]] = arith.cmpi sgt, %[[CODE:.*]], %[[LARGEST]]
// CHECK: %[[INFINITY:.*]] = arith.constant 124 : i32
// CHECK: arith.select %[[OVER]], %[[INFINITY]], %[[CODE]]
func.func @to_infinity(%a: tensor<4xf32>) -> tensor<4xf8E5M2> {
  %0 = onnx.Cast(%a) {saturate = 0 : i64, to = 19 : i64} : (tensor<4xf32>) -> tensor<4xf8E5M2>
  return %0 : tensor<4xf8E5M2>
}

// -----

// Only the low four bits of an argument count.
// CHECK-LABEL: func.func @from_int4
// CHECK-SAME: %{{.*}}: tensor<4xi8> {onnx.elem_type = 22 : i64}
// CHECK: %[[LOW:.*]] = arith.trunci %{{.*}} : i8 to i4
// CHECK: %[[CODE:.*]] = arith.extsi %[[LOW]] : i4 to i8
// CHECK: arith.sitofp %[[CODE]] : i8 to f32
func.func @from_int4(%a: tensor<4xi4>) -> tensor<4xf32> {
  %0 = onnx.Cast(%a) {to = 1 : i64} : (tensor<4xi4>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// A packed constant becomes bytes; movement does not look at the elements.
// CHECK-LABEL: func.func @moved
// CHECK: arith.constant dense<[1, 15, 8, 7]> : tensor<4xi8>
// CHECK: tensor.insert_slice
func.func @moved(%a: tensor<2xi4>) -> tensor<6xi4> {
  %0 = onnx.Constant {value = dense<[1, -1, -8, 7]> : tensor<4xi4>} : tensor<4xi4>
  %1 = onnx.Concat(%a, %0) {axis = 0 : i64} : (tensor<2xi4>, tensor<4xi4>) -> tensor<6xi4>
  return %1 : tensor<6xi4>
}

// -----

// Bits stay as they are: nothing is widened.
// CHECK-LABEL: func.func @same_bits
// CHECK: ^bb0(%[[X:.*]]: f16, %{{.*}}: i16):
// CHECK-NEXT: %[[Y:.*]] = arith.bitcast %[[X]] : f16 to i16
// CHECK-NEXT: linalg.yield %[[Y]]
func.func @same_bits(%a: tensor<4xf16>) -> tensor<4xui16> {
  %0 = onnx.BitCast(%a) {to = 4 : i64} : (tensor<4xf16>) -> tensor<4xui16>
  return %0 : tensor<4xui16>
}
