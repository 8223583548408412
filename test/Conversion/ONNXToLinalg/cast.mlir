// RUN: nibble-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// What does not fit becomes the most negative number, as on x86; fptosi alone
// would leave it undefined.
// CHECK-LABEL: func.func @to_int
// CHECK-DAG: %[[LOW:.*]] = arith.constant -2.14748365E+9 : f32
// CHECK-DAG: %[[HIGH:.*]] = arith.constant 2.14748365E+9 : f32
// CHECK-DAG: arith.cmpf ole, %[[LOW]]
// CHECK-DAG: arith.cmpf olt, %{{.*}}, %[[HIGH]]
// CHECK: arith.fptosi %{{.*}} : f32 to i32
// CHECK: arith.constant -2147483648 : i32
// CHECK: arith.select
func.func @to_int(%a: tensor<4xf32>) -> tensor<4xi32> {
  %0 = onnx.Cast(%a) {to = 6 : i64} : (tensor<4xf32>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

// CHECK-LABEL: func.func @to_bool
// CHECK: arith.cmpf une
func.func @to_bool(%a: tensor<4xf32>) -> tensor<4xi1> {
  %0 = onnx.Cast(%a) {to = 9 : i64} : (tensor<4xf32>) -> tensor<4xi1>
  return %0 : tensor<4xi1>
}

// -----

// CHECK-LABEL: func.func @from_unsigned
// CHECK: arith.uitofp %{{.*}} : i8 to f32
func.func @from_unsigned(%a: tensor<4xui8>) -> tensor<4xf32> {
  %0 = onnx.Cast(%a) {to = 1 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
